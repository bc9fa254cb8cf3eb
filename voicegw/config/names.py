"""What each setting is called, and the table of all of them."""

from pydantic.fields import FieldInfo

from voicegw.config.group import Group
from voicegw.config.settings import Settings


def variable_name(dotted: str) -> str:
    """Return the environment variable of a dotted name: "turns.pause_ms" is VOICEGW_TURNS__PAUSE_MS."""
    group, _, name = dotted.partition(".")
    return f"VOICEGW_{group}__{name}".upper()


def setting_fields() -> dict[str, FieldInfo]:
    """Return every setting by its dotted name, in order, as pydantic's FieldInfo."""
    fields: dict[str, FieldInfo] = {}
    for group, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Group)
        fields |= {f"{group}.{name}": field for name, field in info.annotation.model_fields.items()}
    return fields


def settings_tables() -> str:
    """Return every setting as Markdown tables, one for each group, as docs/configuration.md has them."""
    blocks: list[str] = []
    for group, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        meaning = " ".join((info.annotation.__doc__ or "").split())
        rows = [f"### `{group}`", "", meaning, ""]
        if group in ("stt", "llm", "tts"):
            rows[2] = f"As `provider`, for this stage alone: `VOICEGW_{group.upper()}__BASE_URL` and so on."
            blocks.append("\n".join(rows))
            continue
        rows += ["| variable | default | limits | meaning |", "|---|---|---|---|"]
        for dotted, field in setting_fields().items():
            if dotted.startswith(f"{group}."):
                default = field.get_default(call_default_factory=True)
                shown = f"`{default}`" if default not in ("", (), {}) else ""
                rows.append(
                    f"| `{variable_name(dotted)}` | {shown} | {_limits(field)} | {field.description} |"
                )
        blocks.append("\n".join([*rows, ""]))
    return "\n".join(blocks)


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if hasattr(rule, name)
    ]
    return ", ".join(found)
