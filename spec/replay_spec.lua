-- Recorded answers of real servers, played from a real socket: whole, byte by byte
-- and cut at places that differ from run to run. The verdict must be the same.

local chatbot = require "chatbot"
local support = require "spec.support"

local rows = require "spec.fixtures.wire.index"

-- How the bytes are cut into writes.
local cuts = {
  { name = "whole", steps = function(bytes) return { send = bytes } end },
  { name = "byte by byte", steps = function(bytes) return { send = bytes, chunk = 1 } end },
  {
    name = "in random pieces",
    steps = function(bytes)
      local steps, at = {}, 1
      while at <= #bytes do
        local n = math.random(1, 200)
        steps[#steps + 1] = { send = bytes:sub(at, at + n - 1) }
        steps[#steps + 1] = math.random(4) == 1 and { sleep = 0.001 } or nil
        at = at + n
      end
      return steps
    end,
  },
}

local function read(file)
  local f = assert(io.open("spec/fixtures/wire/" .. file, "rb"))
  local bytes = f:read("*a")
  f:close()
  return bytes
end

local function strip(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

local function check_failure(expect, answer, err)
  assert.is_nil(answer)
  assert.equal(expect.kind, err.kind, tostring(err))
  for _, name in ipairs { "status", "type", "code", "param", "partial", "retryable",
    "retry_after", "request_id" } do
    if expect[name] ~= nil then assert.equal(expect[name], err[name], name) end
  end
  if expect.message then
    assert.truthy(err.message:find(expect.message, 1, true), err.message)
  end
end

local function check_answer(row, answer, reply)
  local expect = row.expect
  assert.truthy(answer, tostring(reply))
  local text = expect.text or ""
  assert.equal(row.stream and text or strip(text), row.stream and reply.text or answer)
  for _, name in ipairs { "status", "finish_reason", "reasoning", "id", "model", "request_id" } do
    assert.equal(expect[name], reply[name], name)
  end
  for name, count in pairs(expect.usage or {}) do
    assert.equal(count, reply.usage[name], name)
  end
  assert.equal(expect.logprobs or 0, reply.logprobs and #reply.logprobs.content or 0)
  local calls = reply.tool_calls or {}
  assert.equal(#(expect.tool_calls or {}), #calls)
  for i, call in ipairs(expect.tool_calls or {}) do
    assert.equal(call.name, calls[i]["function"].name)
    assert.equal(call.arguments, calls[i]["function"].arguments)
    if call.id then
      assert.equal(call.id, calls[i].id)
    else
      assert.truthy(calls[i].id:find("^%w%w%w%w%w%w%w%w%w$"))
    end
  end
end

describe("a recorded answer", function()
  after_each(support.close_all)

  for _, row in ipairs(rows) do
    if row.request ~= "models" then
      for _, cut in ipairs(cuts) do
        it(("%s, %s"):format(row.file, cut.name), function()
          local server = support.serve { { cut.steps(read(row.file)), { close = true } } }
          local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0,
            timeout = 20, stream = row.stream, api = row.api }
          local answer, reply = bot:chat("hello", { max_tokens = row.max_tokens })
          if row.expect.kind then
            check_failure(row.expect, answer, reply)
            assert.equal(0, #bot:get_messages())
          else
            check_answer(row, answer, reply)
            assert.equal(2, #bot:get_messages())
          end
        end)
      end
    end
  end

  it("of /models is a list of names", function()
    for _, row in ipairs(rows) do
      if row.request == "models" then
        local server = support.serve { { { send = read(row.file) }, { close = true } } }
        local bot = chatbot.new { base_url = server.url, timeout = 20 }
        assert.same(row.expect.models, bot:models())
      end
    end
  end)
end)

describe("the replay machine", function()
  after_each(support.remove_all)

  local function replay(dir)
    return support.run_lua(assert(support.read_file("spec/machines/replay.lua")),
      { args = { dir }, timeout = 30, env = { SEED = "1" } })
  end

  -- A conversation of two turns in which `given` is what the client sent back.
  local function conversation(given)
    local dir = support.tmpdir()
    local function write(name, text) support.write_file(dir .. "/" .. name, text) end
    local first = '{"model":"m","messages":[{"role":"user","content":"Sum?"}%s]}'
    for turn = 0, 1 do
      write(turn .. "-sum.meta.json", ('{"provider":"somebody","model":"m","status":200,'
        .. '"stream":true,"conversation":1,"turn":%d}'):format(turn))
    end
    write("0-sum.req.json", first:format "")
    write("0-sum.sse", ': hi\n\ndata: {"choices":[{"index":0,"delta":{"content":"S"}}]}\n\n'
      .. 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":'
      .. '"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],'
      .. '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n')
    write("1-sum.req.json", first:format(',{"role":"assistant","content":"S","tool_calls":[{'
      .. '"id":"a","type":"function","function":{"name":"f","arguments":"' .. given .. '"}}]},'
      .. '{"role":"tool","tool_call_id":"a","content":"3"}'))
    write("1-sum.sse", 'data: {"choices":[{"index":0,"delta":{"content":"3"}}]}\n\n'
      .. "data: [DONE]\n\n")
    return dir
  end

  it("finds nothing where all is right", function()
    local result = replay(conversation("{ }"))
    assert.equal(0, result.status, result.out .. result.err)
    assert.truthy(result.out:find("2 answers played 6 times, 1 later turns; 0 differences", 1,
      true), result.out)
  end)

  it("lists what differs, and fails", function()
    local result = replay(conversation('{\\"x\\":1}'))
    assert.equal(1, result.status)
    assert.truthy(result.out:find("messages[2].tool_calls[1].function", 1, true), result.out)
    assert.truthy(result.out:find("; 1 differences", 1, true), result.out)
  end)

  it("says so when it is given no folder", function()
    local result = replay("")
    assert.equal(0, result.status, result.err)
    assert.truthy(result.out:find("no recorded answers", 1, true), result.out)
  end)
end)
