"""What Mistral's clients are answered where others ask the same paths for something else."""

from starlette.routing import Route

from api.mistral import batch_jobs, chat, embeddings, files

routes = [
    Route("/v1/chat/completions", chat.create, methods=["POST"]),
    Route("/v1/embeddings", embeddings.create, methods=["POST"]),
    Route("/v1/files", files.create, methods=["POST"]),
    Route("/v1/files", files.index, methods=["GET"]),
    Route("/v1/files/{file_id}", files.get, methods=["GET"]),
    Route("/v1/files/{file_id}/content", files.download, methods=["GET"]),
]
own_routes = [*batch_jobs.routes]
"""What only Mistral's clients ask for."""
