# python.py - the bench's client for openai-python. Reads one stream.
#
#   python3 python.py stream URL 1

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[2], api_key="bench", max_retries=0)
parts = []
stream = client.chat.completions.create(
    model="m", stream=True, messages=[{"role": "user", "content": "Hello"}])
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        parts.append(chunk.choices[0].delta.content)
print("events", len(parts))
