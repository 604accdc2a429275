"""A bare agent loop, nothing but Python's own library: bare.py BASE_URL RUNS prints runs per second of processor time.

A run is what `aether bench step` does: a question, the tool call that is asked for, its result, the answer.
"""

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

base, runs = urlsplit(sys.argv[1]), int(sys.argv[2])
connection = http.client.HTTPConnection(base.netloc)
TOOL = {
    "type": "function",
    "function": {
        "name": "calculate",
        "description": "Work out an expression",
        "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
    },
}


def ask(messages):
    body = json.dumps({"model": "scripted", "messages": messages, "tools": [TOOL]})
    connection.request("POST", base.path + "/chat/completions", body, {"content-type": "application/json"})
    return json.loads(connection.getresponse().read())["choices"][0]["message"]


def run():
    messages = [{"role": "user", "content": "What is 17% of 2340?"}]
    while calls := (answer := ask(messages)).get("tool_calls"):
        messages.append(answer)
        for call in calls:
            assert json.loads(call["function"]["arguments"])["expression"]
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "397.8"})
    return answer["content"]


run()
begun = time.process_time()
for _ in range(runs):
    run()
print(json.dumps({"runs_per_cpu_second": round(runs / (time.process_time() - begun), 1)}))
