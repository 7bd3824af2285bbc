// openai.mjs - the bench's client for openai-node.
//
//   node openai.mjs stream URL STREAMS

import OpenAI from "openai";

const [, , , url, streams] = process.argv;
const paced = !/-0-\d+\//.test(url);
const client = new OpenAI({ baseURL: url, apiKey: "bench", maxRetries: 0 });
const latencies = []; // from half a second after the first event on, see limit.c
let settled, events = 0;

async function read() {
  let text = "";
  const stream = await client.chat.completions.create({
    model: "m", stream: true, messages: [{ role: "user", content: "Hello" }],
  });
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta?.content;
    if (!piece) continue;
    text += piece;
    events++;
    if (paced) {
      const at = Number(piece.slice(piece.indexOf(":") + 1));
      const now = Number(process.hrtime.bigint() / 1000n);
      settled ??= now + 500000;
      if (now >= settled) latencies.push(now - at);
    }
  }
  return text;
}

await Promise.all(Array.from({ length: Number(streams) }, read));
let line = `events ${events}`;
if (latencies.length > 0) {
  latencies.sort((a, b) => a - b);
  line += ` p50 ${latencies[Math.floor(latencies.length * 0.5)]}`;
  line += ` p99 ${latencies[Math.floor(latencies.length * 0.99)]}`;
}
console.log(line);
