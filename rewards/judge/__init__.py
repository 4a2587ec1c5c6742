"""An LLM as a layer of the rubric: what it is asked, how it is asked, and what is made of its answers."""
