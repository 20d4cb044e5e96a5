"""The operations of files: as OpenAI's clients know them, and as Mistral's do."""

from typing import Literal

from pydantic import BaseModel, RootModel

from api import openapi_models as answers
from api.openapi_parts import ANY, FORM, Answer, Operation
from shared.auth.permissions import Permission


class MistralFile(BaseModel):
    """A file as Mistral's clients know it; its times are in seconds."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    sample_type: str
    source: str
    num_lines: int | None
    mimetype: str | None
    signature: None
    expires_at: int | None
    visibility: Literal["workspace"]
    deleted: Literal[False] | None = None


class MistralFileList(BaseModel):
    """A numbered page of them."""

    object: Literal["list"]
    data: list[MistralFile]
    total: int | None = None


class AnyFile(RootModel[answers.File | MistralFile]):
    """A file as the caller's client knows it."""


class AnyFileList(RootModel[answers.FileList | MistralFileList]):
    """A page as the caller's client knows it."""


FILES = (
    Operation(
        "createFile",
        "POST",
        "/v1/files",
        "Upload a file",
        {"200": Answer("The file.", AnyFile)},
        Permission.FILES_WRITE,
        {FORM: answers.FileUpload},
        errors=(400, 413),
    ),
    Operation(
        "listFiles",
        "GET",
        "/v1/files",
        "List files, newest first",
        {"200": Answer("A page.", AnyFileList)},
        Permission.FILES_READ,
        parameters=(
            "purpose",
            "after",
            "file_limit",
            "order",
            "page",
            "page_size",
            "include_total",
        ),
        errors=(400,),
    ),
    Operation(
        "getFile",
        "GET",
        "/v1/files/{file_id}",
        "Get a file's description",
        {"200": Answer("The file.", AnyFile)},
        Permission.FILES_READ,
        parameters=("file_id",),
        errors=(404,),
    ),
    Operation(
        "deleteFile",
        "DELETE",
        "/v1/files/{file_id}",
        "Delete a file",
        {"200": Answer("It is gone.", answers.Deleted)},
        Permission.FILES_WRITE,
        parameters=("file_id",),
        errors=(404,),
    ),
    Operation(
        "getFileContent",
        "GET",
        "/v1/files/{file_id}/content",
        "Download a file",
        {"200": Answer("Its bytes.", media_type=ANY)},
        Permission.FILES_READ,
        parameters=("file_id",),
        errors=(404,),
    ),
)
