"""Agent frameworks from PyPI on the same scripted provider: frameworks.py MODE PEER BASE_URL [N]

MODE   step     N runs (question, tool call, result, answer) one after the other; runs per second of processor time
       waiting  N agents that wait for a slow provider at once; bytes of memory for each, and the time they took
       hello    one question and its answer; to be timed from outside, interpreter and imports included
PEER   openai, agents, langgraph, crewai

benchmarks/README.md says how to install them and which provider to start. Prints one JSON object.
"""

import asyncio
import json
import os
import sys
import time

GOAL = "What is 17% of 2340?"
os.environ.setdefault("OPENAI_API_KEY", "none")
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")


def calculated(expression):
    assert expression
    return "397.8"


def openai(base):
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=base, api_key="none", max_retries=0, timeout=600)
    parameters = {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}
    function = {"name": "calculate", "description": "Work out an expression", "parameters": parameters}
    tools = [{"type": "function", "function": function}]

    async def run(goal):
        messages = [{"role": "user", "content": goal}]
        while True:
            asked = await client.chat.completions.create(model="scripted", messages=messages, tools=tools)
            answer = asked.choices[0].message
            if not answer.tool_calls:
                return answer.content
            messages.append(answer.model_dump(exclude_none=True))
            for call in answer.tool_calls:
                text = calculated(json.loads(call.function.arguments)["expression"])
                messages.append({"role": "tool", "tool_call_id": call.id, "content": text})

    return run


def agents(base):
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    @function_tool
    def calculate(expression: str) -> str:
        """Work out an expression."""
        return calculated(expression)

    client = AsyncOpenAI(base_url=base, api_key="none", max_retries=0, timeout=600)
    model = OpenAIChatCompletionsModel(model="scripted", openai_client=client)
    agent = Agent(name="peer", instructions="Work things out.", tools=[calculate], model=model)

    async def run(goal):
        return (await Runner.run(agent, goal)).final_output

    return run


def langgraph(base):
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.prebuilt import create_react_agent

    @tool
    def calculate(expression: str) -> str:
        """Work out an expression."""
        return calculated(expression)

    model = ChatOpenAI(model="scripted", base_url=base, api_key="none", max_retries=0, timeout=600)
    graph = create_react_agent(model, [calculate])

    async def run(goal):
        return (await graph.ainvoke({"messages": [("user", goal)]}))["messages"][-1].content

    return run


def crewai(base):
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    @tool("calculate")
    def calculate(expression: str) -> str:
        """Work out an expression."""
        return calculated(expression)

    llm = LLM(model="openai/scripted", base_url=base, api_key="none", timeout=600)

    async def run(goal):
        agent = Agent(role="peer", goal="work things out", backstory="none", tools=[calculate], llm=llm, verbose=False)
        task = Task(description=goal, expected_output="a number", agent=agent)
        return str(await Crew(agents=[agent], tasks=[task], verbose=False).kickoff_async())

    return run


PEERS = {peer.__name__: peer for peer in (openai, agents, langgraph, crewai)}


def status_kb(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


async def step(run, count):
    await run(GOAL)
    begun = time.process_time()
    for _ in range(count):
        assert "397.8" in await run(GOAL)
    return {"runs_per_cpu_second": round(count / (time.process_time() - begun), 1)}


async def waiting(run, count):
    await run(GOAL)
    before, begun = status_kb("VmRSS"), time.monotonic()
    await asyncio.gather(*(run(GOAL) for _ in range(count)))
    took, grown = time.monotonic() - begun, status_kb("VmHWM") - before
    return {"bytes_per_task": grown * 1024 // count, "wall_seconds": round(took, 2)}


async def hello(run, _):
    return {"answer": await run("hello"), "peak_kb": status_kb("VmHWM")}


def main():
    mode, peer, base = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    measure = {"step": step, "waiting": waiting, "hello": hello}[mode]
    print(json.dumps(asyncio.run(measure(PEERS[peer](base), count))))


main()
