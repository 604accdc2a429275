"""What a request weighs in a real tokenizer: tokens.py REQUEST.json GOAL prints the fixed overhead in tokens.

REQUEST.json is a request as it was sent (`aether-testkit serve --log FILE` writes them, the body under `body`). Counted
are its strings and keys with OpenAI's o200k_base (needs tiktoken, which fetches the vocabulary once), without the goal.
"""

import json
import sys

import tiktoken

with open(sys.argv[1]) as file:
    request = json.loads(file.readlines()[-1])
body = request.get("body", request)
count = len(tiktoken.get_encoding("o200k_base").encode(json.dumps(body, ensure_ascii=False, separators=(",", ":"))))
goal = len(tiktoken.get_encoding("o200k_base").encode(sys.argv[2]))
print(json.dumps({"prompt_tokens": count - goal}))
