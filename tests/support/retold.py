"""The real small model under another chat template, as a family of larger models has one."""

from pathlib import Path

ALIGNMENT = 32
KEY = b"tokenizer.chat_template"
# Written for tests, in the manner of templates that know tools and thoughts.
TEMPLATE = (
    "{% if tools %}<|im_start|>system\nTools:{% for tool in tools %}\n{{ tool | tojson }}"
    "{% endfor %}\nCall with <tool_call>.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}"
    "{{ message.content }}{% if message.tool_calls %}{% for call in message.tool_calls %}"
    "<tool_call>{{ call.function.name }} {{ call.function.arguments | tojson }}</tool_call>"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking %}<think>\n{% endif %}{% endif %}"
)


def retold(source: Path, target: Path, template: str = TEMPLATE) -> Path:
    """A copy of the GGUF whose template is ``template``.

    The header grows by whole alignments, so that everything behind it stays aligned.
    """
    raw = source.read_bytes()
    at = raw.index(KEY) + len(KEY) + 4
    length = int.from_bytes(raw[at : at + 8], "little")
    text = template.encode()
    spare = (length - len(text)) % ALIGNMENT
    if spare:
        # A comment of so many bytes says nothing in the prompt.
        spare += 0 if spare >= 4 else ALIGNMENT
        text += b"{#" + b" " * (spare - 4) + b"#}"
    made = raw[:at] + len(text).to_bytes(8, "little") + text + raw[at + 8 + length :]
    target.write_bytes(made)
    return target
