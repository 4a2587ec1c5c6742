"""By vLLM's own interpreter: which texts of {"grammar": structural tag, "texts": [...]} does xgrammar accept?"""

import json
import sys
from importlib import import_module
from typing import Any

xgrammar: Any = import_module("xgrammar")
given = json.load(sys.stdin)
letters = [f"<0x{byte:02X}>" for byte in range(256)]
tokens = xgrammar.TokenizerInfo(letters, xgrammar.VocabType.BYTE_FALLBACK)
grammar = xgrammar.GrammarCompiler(tokens).compile_structural_tag(json.dumps(given["grammar"]))


def allowed(text: str) -> bool:
    """Whether the text is a whole answer."""
    matcher = xgrammar.GrammarMatcher(grammar, terminate_without_stop_token=True)
    return matcher.accept_string(text) and matcher.is_terminated()


print(json.dumps([allowed(text) for text in given["texts"]]))
