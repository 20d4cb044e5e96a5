"""Requests, from Anthropic's words to neutral ones. Pure."""

from collections.abc import Iterator, Mapping

from shared.dialects.messages.blocks import read_content
from shared.dialects.messages.fields import Fields, wrong
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import (
    Format,
    Message,
    Role,
    Tool,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.generation import GenerationRequest, Tuning

READ = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
# Where a prompt's parts may be cached says nothing about its answer; the others are not ours to tell.
SILENT = frozenset({"cache_control", "model", "stream"})
OWN_KEYS = "penstock"
NO_ARGUMENTS = {"type": "object", "properties": {}}
MODES = {"auto": ToolMode.AUTO, "any": ToolMode.REQUIRED, "none": ToolMode.NONE}
TIERS = {"standard_only": "default"}


def read_request(body: Json) -> GenerationRequest:
    """Read a request of `/v1/messages`, or one to count, which has no `max_tokens`.

    Raises:
        Unreadable: it is not what Anthropic takes.
        Unsupported: it needs what only Anthropic has, such as tools that run there.
    """
    fields = Fields(body)
    if body.get("mcp_servers"):
        feature = "MCP servers"
        raise Unsupported(feature, "mcp_servers")
    return GenerationRequest(
        messages=tuple(_messages(fields)),
        tools=tuple(_tool(each) for each in fields.objects("tools")),
        tool_choice=_tool_choice(fields),
        format=_format(fields),
        max_tokens=fields.integer("max_tokens"),
        stop=tuple(_stops(fields)),
        tuning=_tuning(fields),
        unknown=tuple(_unknown(body)),
    )


def _messages(fields: Fields) -> Iterator[Message]:
    system = read_content(fields, "system")
    if system:
        yield Message(Role.SYSTEM, system)
    for each in fields.objects("messages"):
        parts = read_content(each)
        role = _role(each)
        if role is not Role.USER and any(isinstance(part, ToolResult) for part in parts):
            message = "a tool's result stands in a message of the user"
            raise Unreadable(message, each.at("content"))
        yield Message(role, parts)


def _role(message: Fields) -> Role:
    role = message.needed("role")
    if role not in set(Role):
        raise wrong(message.at("role"), "`user` or `assistant`")
    return Role(role)


def _tool(tool: Fields) -> Tool:
    kind = tool.text("type")
    if kind not in (None, "custom"):
        feature = f"the tool `{kind}`, which runs at Anthropic"
        raise Unsupported(feature, tool.at("type"))
    schema = tool.object("input_schema")
    given = None if schema is None or schema.value == NO_ARGUMENTS else schema.value
    return Tool(tool.needed("name"), tool.text("description"), given, tool.flag("strict"))


def _tool_choice(fields: Fields) -> ToolChoice | None:
    choice = fields.object("tool_choice")
    if choice is None:
        return None
    kind = choice.needed("type")
    if kind == "tool":
        return ToolChoice(ToolMode.REQUIRED, (choice.needed("name"),))
    if kind not in MODES:
        raise wrong(choice.at("type"), "`auto`, `any`, `tool` or `none`")
    return ToolChoice(MODES[kind])


def _format(fields: Fields) -> Format | None:
    config = fields.object("output_config")
    wanted = None if config is None else config.object("format")
    # Its older place, of the beta.
    wanted = wanted or fields.object("output_format")
    if wanted is None:
        return None
    if wanted.needed("type") != "json_schema":
        raise wrong(wanted.at("type"), "`json_schema`")
    schema = wanted.object("schema")
    if schema is None:
        raise wrong(wanted.at("schema"), "a JSON schema")
    return Format(schema.value)


def _stops(fields: Fields) -> Iterator[str]:
    for index, stop in enumerate(fields.items("stop_sequences")):
        if not isinstance(stop, str):
            raise wrong(f"stop_sequences.{index}", "a string")
        yield stop


def _tuning(fields: Fields) -> Tuning:
    metadata, config = fields.object("metadata"), fields.object("output_config")
    choice, tier = fields.object("tool_choice"), fields.text("service_tier")
    alone = None if choice is None else choice.flag("disable_parallel_tool_use")
    effort = None if config is None else config.text("effort")
    budget = None
    thinking = fields.object("thinking")
    if thinking is not None:
        budget = thinking.integer("budget_tokens")
        effort = "none" if thinking.needed("type") == "disabled" else effort
    return Tuning(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        effort=effort,
        thinking_tokens=budget,
        service_tier=TIERS.get(tier, tier) if tier else None,
        user=None if metadata is None else metadata.text("user_id"),
        parallel_tool_calls=None if alone is None else not alone,
    )


def _unknown(body: Mapping[str, object]) -> Iterator[str]:
    for name, value in body.items():
        known = name in READ or name in SILENT or name.startswith(OWN_KEYS)
        if not known and value is not None:
            yield name
