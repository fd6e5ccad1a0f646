"""The support agent: one model, eight tools, one prompt. Who may do what is decided around it, not in it."""

from pathlib import Path

from langchain.agents import create_agent

from support.model import chat_model
from support.tools import TOOLS

SYSTEM_PROMPT = Path(__file__).with_name("prompt.md").read_text(encoding="utf-8")

graph = create_agent(chat_model(), TOOLS, system_prompt=SYSTEM_PROMPT, name="support")
