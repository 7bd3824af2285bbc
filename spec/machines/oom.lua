-- make oom: every allocation of Lua, of libcurl and of the module itself fails in
-- turn; in between, every allocation of Lua collects all garbage.
-- Usage: lua spec/machines/oom.lua BINARY [STEP] (built from oom.c)
--
-- STEP > 1 tries only every so many allocations.

package.path = "./?.lua;./?/init.lua;" .. package.path
local support = require "spec.support"

local binary, step = arg[1], tonumber(arg[2]) or 1
local KEY = "sk-oom-canary-0123456789"
local array = support.array

local function chunk(delta, more)
  local object = { object = "chat.completion.chunk", id = "x1", model = "m1",
    choices = { { index = 0, delta = delta } } }
  for name, value in pairs(more or {}) do object.choices[1][name] = value end
  return object
end

local function call(fields) return { tool_calls = { fields } } end

local function logprobs(token)
  return { logprobs = { content = { { token = token, logprob = -0.5, bytes = { 1, 2 },
    top_logprobs = { { token = token, logprob = -0.5 } } } } } }
end

local scripts = {
  plain = support.sse { "Hel", "lo ",
    { raw = 'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n' },
    { raw = 'data: {"choices":[{"delta":{"content":"\\ude00!"}}]}\n\n' } },
  rich = support.sse({ { reasoning_content = "Hm" }, { reasoning = "\195\164." },
    chunk({ content = "It is \240\159\152\128" }, logprobs "It"),
    chunk({ content = array { { type = "text", text = " sunny" } } }, logprobs "s"),
    "." }, { usage = true }),
  tools = support.sse({ call { index = 0, id = "c1", type = "function",
      ["function"] = { name = "weather", arguments = '{"city' } },
    call { index = 0, ["function"] = { arguments = '":"\195\132s' } },
    call { index = 0, ["function"] = { arguments = 'k"}' } } },
    { finish_reason = "tool_calls", usage = true }),
  whole = support.json_completion("  The whole answer.\n", { extra = { note = "x" } }),
  slow = support.sse((function()
    local words = {}
    for i = 1, 12 do words[i] = "word " end
    return words
  end)(), { every = 0.001 }),
  big = support.sse((function()
    local pieces = {}
    for i = 1, 20 do pieces[i] = ("0123456789abcdef"):rep(100) end
    return pieces
  end)()),
  cut = { support.sse({ "half an", " ans" }, { finish_reason = false, done = false }),
    { close = true } },
  refused = support.http(401, {}, { error = { message = "bad key " .. KEY, type = "auth",
    code = 7 } }),
  busy = support.http(503, { ["Retry-After-Ms"] = "1" }, { detail = array { { msg = "later" } } }),
  html = support.http(200, { ["Content-Type"] = "text/html" },
    ("<html>%s</html>"):format(("no such page "):rep(40))),
  event = support.sse({ "Hel", { error = { message = "overloaded " .. KEY } } },
    { finish_reason = false }),
  redirect = support.http(307, { Location = "http://127.0.0.1:1/" .. KEY }, ""),
  models = support.http(200, {}, { data = array { { id = "b" }, { id = "a" } } }),
}

local thoughts = { type = "reasoning", id = "r1", encrypted_content = "x\195\164",
  summary = array { { type = "summary_text", text = "Hm." } } }
local note = { type = "url_citation", url = "https://a.example/", title = "A" }
local message = { type = "message", id = "m1", content = array { { type = "output_text",
  text = "It is sunny.", annotations = array { note }, logprobs = array { { token = "It" } } } } }
local weather = { type = "function_call", id = "f1", call_id = "c1", name = "weather",
  arguments = '{"city":"\195\132sk"}' }
local image = { type = "image_generation_call", id = "i1", result = "YWJjZA==" }

local function items(...)
  local out = { "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" }
  for _, fields in ipairs { ... } do
    fields.type, fields[1] = "response." .. fields[1], nil
    out[#out + 1] = "data: " .. support.encode(fields) .. "\n\n"
  end
  return support.raw(table.concat(out))
end

local function response(...)
  return { id = "x1", model = "m1", status = "completed", output = array { ... },
    usage = { input_tokens = 5, output_tokens = 7, total_tokens = 12 } }
end

scripts.items = items({ "output_item.added", output_index = 0, item = { type = "reasoning" } },
  { "reasoning_summary_part.added", output_index = 0, summary_index = 0 },
  { "reasoning_summary_text.delta", output_index = 0, summary_index = 0, delta = "Hm." },
  { "output_item.done", output_index = 0, item = thoughts },
  { "output_text.delta", output_index = 1, delta = "It is sunny.",
    logprobs = array { { token = "It" } } },
  { "output_text.annotation.added", output_index = 1, annotation = note },
  { "output_item.added", output_index = 2, item = { type = "function_call", id = "f1",
    name = "weather" } },
  { "function_call_arguments.delta", output_index = 2, delta = '{"city":' },
  { "function_call_arguments.delta", output_index = 2, delta = '"\195\132sk"}' },
  { "output_item.done", output_index = 3, item = image },
  { "completed", response = response(thoughts, message, weather, image) })
scripts.response = support.http(200, {}, response(thoughts, message, weather, image))

local signed = { type = "thinking", thinking = "Hm.", signature = "x\195\164" }
local cited = { type = "char_location", cited_text = "Sun", document_index = 0,
  start_char_index = 0, end_char_index = 3 }
local search = { type = "server_tool_use", id = "s1", name = "web_search",
  input = { query = "\195\132sk" } }
local use = { type = "tool_use", id = "c1", name = "weather", input = { city = "\195\132sk" } }

local function event(kind, index, fields)
  fields = fields or {}
  fields.type, fields.index = kind, index
  return ("event: %s\ndata: %s\n\n"):format(kind, support.encode(fields))
end

local function begins(index, block)
  return event("content_block_start", index, { content_block = block })
end

local function adds(index, kind, name, value)
  return event("content_block_delta", index, { delta = { type = kind, [name] = value } })
end

scripts.blocks = support.raw(table.concat {
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
  event("message_start", nil, { message = { id = "x1", model = "m1",
    usage = { input_tokens = 5, output_tokens = 1 } } }),
  begins(0, { type = "thinking", thinking = "", signature = "" }),
  adds(0, "thinking_delta", "thinking", "Hm"), adds(0, "thinking_delta", "thinking", "."),
  adds(0, "signature_delta", "signature", "x\195\164"), event("content_block_stop", 0),
  begins(1, { type = "server_tool_use", id = "s1", name = "web_search", input = {} }),
  adds(1, "input_json_delta", "partial_json", '{"query":"\195\132'),
  adds(1, "input_json_delta", "partial_json", 'sk"}'), event("content_block_stop", 1),
  begins(2, { type = "text", text = "" }), adds(2, "citations_delta", "citation", cited),
  adds(2, "text_delta", "text", "It is"), adds(2, "text_delta", "text", " sunny."),
  begins(3, { type = "tool_use", id = "c1", name = "weather", input = {} }),
  adds(3, "input_json_delta", "partial_json", '{"city":"\195\132'),
  adds(3, "input_json_delta", "partial_json", 'sk"}'), event("content_block_stop", 3),
  event("message_delta", nil, { delta = { stop_reason = "tool_use" },
    usage = { output_tokens = 7 } }), event "message_stop",
})
scripts.message = support.http(200, {}, { type = "message", id = "x1", model = "m1",
  content = array { signed, search, { type = "text", text = "It is sunny.",
    citations = array { cited } }, use }, stop_reason = "tool_use",
  usage = { input_tokens = 5, output_tokens = 7 } })

local stages = { "plain", "rich", "tools", "whole", "big", "items", "response", "blocks",
  "message", "read", "calls", "document", "partial", "refused", "busy", "html", "event",
  "redirect", "callback", "coroutine",
  "close", "key", "models", "messages", "history" }

local urls = {}
for name, script in pairs(scripts) do
  urls[#urls + 1] = support.quote(name .. "=" .. support.serve({ script }).url)
end
urls = table.concat(urls, " ")

local sums, passed, failed, started = {}, 0, 0, support.now()
local modes = { "lua", "curl", "own", "gc" }
if _VERSION == "Lua 5.1" then modes[4] = nil end -- which does not try again

for _, mode in ipairs(modes) do
  for _, stage in ipairs(stages) do
    if not arg[3] or arg[3] == stage then
      local child = support.spawn(("%s %s %d spec/machines/oom_script.lua %s %s"):format(
        binary, mode, step, stage, urls))
      local status = child:wait(300)
      local out, err = child:output()
      child:close()
      local n, wrong = out:match("(%d+) [%a ]+, (%d+) wrong")
      sums[mode] = (sums[mode] or 0) + (tonumber(n) or 0)
      if status == 0 and wrong == "0" then
        passed = passed + 1
      else
        failed = failed + 1
        print(("%s %s: status %s\n%s%s"):format(mode, stage, tostring(status), out,
          err:sub(1, 4000)))
      end
    end
  end
end
for _, mode in ipairs(modes) do
  if sums[mode] == 0 then failed = failed + 1 end -- a sweep of nothing
end
support.close_all()
support.remove_all()
print(("failed in turn: %d allocations of Lua, %d of libcurl, %d of the module; "
  .. "%d full collections; %.1f s"):format(sums.lua, sums.curl, sums.own, sums.gc or 0,
  support.now() - started))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
