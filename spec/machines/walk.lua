-- make walk: one conversation goes through all that can happen to it, at random, and a model
-- of it says after each step what get_messages() must show.
-- Usage: LUA spec/machines/walk.lua STEPS [SEED]
--
-- The model knows the rules of doc/reference.md, "The conversation", and nothing of how they
-- are kept:
-- a turn is all or nothing; what was said before stays as it was; text is delivered once. A
-- step whose outcome the rules leave open has several outcomes. Stops at the first
-- difference, and tells it with the seed.

package.path = "./?.lua;./?/init.lua;" .. package.path
local chatbot = require "chatbot"
local support = require "spec.support"

local STEPS = tonumber(arg[1]) or 10000
local seed = tonumber(arg[2]) or os.time() % 1000000
local LONGEST = 24 -- messages, then the conversation begins anew
local unpack = table.unpack or unpack
local PER_SERVER = 400 -- steps: a server keeps what it was sent

local random, chance, pick = require("spec.machines.random")(seed)


-- The server: a prompt is JSON that says what is answered, round by round -----------

local PLAY = [==[
  local request, conn, wire = ...
  local json = require "cjson"
  local body = json.decode(request.body)
  local prompt, rounds = nil, 0
  for _, message in ipairs(body.messages) do
    if message.role == "user" then
      prompt, rounds = message.content, 0
      for _, part in ipairs(type(prompt) == "table" and prompt or {}) do
        prompt = part.text or prompt
      end
      prompt = prompt:match(".*\n\n(.*)") or prompt -- one may stand behind another
    elseif message.role == "assistant" and prompt and message.tool_calls then
      rounds = rounds + 1
    end
  end
  local plan = json.decode(prompt)
  local answer = plan.rounds[rounds + 1] or plan.rounds[#plan.rounds]
  local list = wire.array {}
  for i, piece in ipairs(answer.text) do list[i] = piece end
  local usage = { prompt_tokens = 50, completion_tokens = 50, total_tokens = 100 }
  local function play(steps) conn:play(steps) end
  if answer.refuse == body.model then
    return play(wire.http(503, {}, { error = { message = "busy" } }))
  elseif answer.kind == "http" then
    return play(wire.http(answer.status, {}, { error = { message = "no" } }))
  elseif body.stream == false or body.stream == nil then
    return play(wire.json_completion(table.concat(list), { usage = usage }))
  elseif answer.calls then
    local calls = {}
    for i, call in ipairs(answer.calls) do
      calls[i] = { index = i - 1, id = call.id, type = "function", ["function"] = {
        name = call.name, arguments = call.arguments } }
    end
    list[#list + 1] = { tool_calls = calls }
    return play(wire.sse(list, { finish_reason = "tool_calls", usage = usage }))
  elseif answer.kind == "cut" or answer.kind == "reset" or answer.kind == "stall" then
    play(wire.sse(list, { finish_reason = false, done = false, cut = true }))
    return play { { [answer.kind == "cut" and "close" or answer.kind] = true } }
  elseif answer.kind == "end" then -- an orderly end, without an end of the answer
    return play(wire.sse(list, { finish_reason = false, done = false }))
  elseif answer.kind == "api" then
    list[#list + 1] = { error = { message = "in the stream" } }
    return play(wire.sse(list, { finish_reason = false, done = false }))
  end
  play(wire.sse(list, { finish_reason = answer.finish or "stop", usage = usage,
    every = answer.every }))
]==]

-- Three services, each with wishes of its own, which judge what they are sent.
local servers, served = {}, PER_SERVER -- steps that these have served
local function serve()
  for _, server in pairs(servers) do server:close() end
  served = 0
  for name, strict in pairs { alpha = "deepseek", beta = "mistral", gamma = "strictest" } do
    servers[name] = support.serve({ { lua = PLAY } }, { strict = strict })
  end
  chatbot.register("alpha", { base_url = servers.alpha.url, reasoning_back = true })
  chatbot.register("beta", { base_url = servers.beta.url, stream_options = false,
    short_ids = true })
  chatbot.register("gamma", { base_url = servers.gamma.url })
end


-- The model ------------------------------------------------------------------------

-- A message as it must be: `content` may be a function that judges it.
local function copy(list)
  local out = {}
  for i, message in ipairs(list) do
    out[i] = {}
    for key, value in pairs(message) do out[i][key] = value end
  end
  return out
end

local function text_of(value)
  if value == nil then return "" end
  if type(value) ~= "table" then return tostring(value) end
  local parts, names = {}, {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, name in ipairs(names) do parts[i] = tostring(name) .. "=" .. text_of(value[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function differs(wanted, got)
  if type(got) ~= "table" then return "no message" end
  if wanted.role ~= got.role then return "role " .. tostring(got.role) end
  if type(wanted.content) == "function" then
    if not wanted.content(got.content) then return "content " .. text_of(got.content) end
  elseif text_of(wanted.content) ~= text_of(got.content) then
    return "content " .. text_of(got.content)
  end
  if wanted.tool_call_id ~= got.tool_call_id then return "tool_call_id" end
  if #(wanted.calls or {}) ~= #(got.tool_calls or {}) then return "calls" end
  for i, call in ipairs(wanted.calls or {}) do
    local other = got.tool_calls[i]
    if call.id ~= other.id or call.name ~= other["function"].name
      or call.arguments ~= other["function"].arguments then
      return "call " .. i
    end
  end
end

local function show(list)
  local out = {}
  for i, message in ipairs(list) do
    local content = message.content
    out[i] = ("    %d %s: %s%s"):format(i, tostring(message.role),
      type(content) == "function" and "(judged)" or text_of(content):sub(1, 160),
      (message.calls or message.tool_calls) and " + calls" or "")
  end
  return table.concat(out, "\n")
end

local function compare(wanted, got)
  for i = 1, math.max(#wanted, #got) do
    if not wanted[i] then return ("message %d is one too many"):format(i) end
    local problem = differs(wanted[i], got[i])
    if problem then return ("message %d: %s"):format(i, problem) end
  end
  return nil
end

-- model: what get_messages() shows; others: bots that must not change any more.
local model, others = {}, {}
local bot, keep, step, trace, notes = nil, false, 0, {}, nil

local function fail(what)
  print(("DIFFERENCE at step %d: %s"):format(step, what))
  print("  the last steps: " .. table.concat(trace, "; ", math.max(1, #trace - 8)))
  print("  model:\n" .. show(model))
  print("  conversation:\n" .. show(bot:get_messages()))
  print(("again: make walk STEPS=%d SEED=%d"):format(step, seed))
  print(("walk: %d steps, 1 difference"):format(step))
  os.exit(1)
end

local function check(condition, what) if not condition then fail(what) end end

-- The conversation must be one of these; the model is that one from now on.
local function outcome(...)
  local first
  for i = 1, select("#", ...) do
    local wanted = select(i, ...)
    local problem = compare(wanted, bot:get_messages())
    if not problem then
      model = wanted
      return i
    end
    first = first or problem
  end
  model = (...)
  fail(first)
end

local function user(list, content)
  local out = copy(list)
  if out[#out] and out[#out].role == "user" then out[#out] = nil end
  out[#out + 1] = { role = "user", content = content }
  return out
end

local function with(list, ...)
  local out = copy(list)
  for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end
  return out
end

local function said(text) return { role = "assistant", content = text } end


-- Turns ------------------------------------------------------------------------------

local ALPHABET = { "a", "b ", " c", "\n", "\195\164", "\227\129\130", "\240\159\152\128", '"',
  "\\" }

local function pieces(least)
  local out = support.array {}
  for i = 1, random(5) + least - 1 do
    local text = {}
    for k = 1, random(4) do text[k] = pick(ALPHABET) end
    out[i] = "x" .. table.concat(text) .. "x"
  end
  return out
end

-- What a tool is asked for says what it does.
local function run_tool(args)
  if args.wait and (coroutine.isyieldable and coroutine.isyieldable()
    or not coroutine.isyieldable and coroutine.running()) then
    for _ = 1, args.wait do coroutine.yield("tool") end
  end
  if args.fail == 1 then error("the tool failed", 0) end
  if args.fail == 2 then return nil, "the tool failed" end
  return args.result
end

-- What a tool does beside: closes the reply that it is called for, or raises in on_tool.
local current, in_tool
local tools = { { name = "tool", call = function(args)
  if in_tool then in_tool() end
  return run_tool(args)
end } }
local theirs = { { name = "mine" } }

local function failed(text) return type(text) == "string" and text:find("the tool failed") end

local calls_made = 0
local function some_calls(name)
  local calls, results = support.array {}, {}
  for i = 1, random(3) do
    calls_made = calls_made + 1
    local id = "call_" .. calls_made
    local how = name == "tool" and random(6) or 1
    local args, result = { result = "r" .. calls_made }, "r" .. calls_made
    if how == 2 then args.fail, result = 1, failed end
    if how == 3 then args.fail, result = 2, failed end
    if how == 4 then args.wait = random(3) end
    local text = support.encode(args)
    calls[i] = { id = id, name = name, arguments = text }
    if how == 5 then -- no JSON: the model is told
      calls[i].arguments, result = "{", function(s) return s:find("^error") end
    elseif how == 6 then
      calls[i].name, result = "nobody", function(s) return s:find("^error") end
    end
    results[i] = { role = "tool", tool_call_id = id, content = result }
  end
  return calls, results
end

local BAD = { "cut", "reset", "end", "api", "http" }

-- A turn: the prompt, what must be delivered, and what the conversation then is.
local function turn(opts)
  local rounds, text = support.array {}, ""
  local base = model
  local plan = { n = step, rounds = rounds }
  local added = {}
  if opts.tools then
    for i = 1, random(2) do
      local calls, results = some_calls "tool"
      local before = chance(50) and pieces(1) or support.array {}
      rounds[i] = { text = before, calls = calls }
      text = text .. table.concat(before)
      added[#added + 1] = { role = "assistant", content = table.concat(before), calls = calls }
      for _, result in ipairs(results) do added[#added + 1] = result end
    end
  end
  local last = { text = pieces(1), kind = opts.kind, status = opts.kind == "http" and
    pick { 400, 401, 404, 500, 503 } or nil, finish = opts.finish, refuse = opts.refuse,
    every = chance(10) and 0.001 or nil }
  if opts.empty then last.text = support.array {} end
  rounds[#rounds + 1] = last
  local final = table.concat(last.text)
  if last.kind == "http" then final = "" end
  local prompt = support.encode(plan)
  local content = prompt
  if opts.parts then
    prompt = { prompt, { type = "image_url", image_url = { url = "https://example.com/a.png" } } }
    content = { { type = "text", text = prompt[1] }, prompt[2] }
  elseif chance(20) then
    prompt = " \n" .. prompt .. "\t "
  end
  if opts.stream == false then final = final:match("^%s*(.-)%s*$") end
  local list = with(user(base, content), unpack(added))
  return { prompt = prompt, text = text .. final, final = final, good = with(list, said(final)),
    base = base, rounds = #rounds - 1, bad = last.kind ~= nil, middle = list, added = #added,
    first = #list - #added } -- where the prompt stands
end

-- Asks in one of the ways there are: answer or nil, reply or err, delivered text.
local function ask(prompt, opts)
  local way = random(6)
  local got = ""
  if way == 6 then
    opts = opts or {}
    opts.wait = function(reply) reply:wait(0.01) end
  end
  if way == 1 or way == 6 then
    local answer, reply = bot:chat(prompt, opts)
    return answer, reply
  elseif way == 2 then
    local answer, reply
    local thread = coroutine.create(function() answer, reply = bot:chat(prompt, opts) end)
    while coroutine.status(thread) ~= "dead" do
      local ok, text = coroutine.resume(thread)
      check(ok, "an error in a coroutine: " .. tostring(text))
      if coroutine.status(thread) ~= "dead" then
        if type(text) == "string" and text ~= "tool" then got = got .. text end
        if text == "" or text == "tool" then chatbot.poll(0.005) end
      end
    end
    return answer, reply, got
  end
  opts = opts or {}
  if way == 3 then opts.on_text = function(text) got = got .. text end end
  local reply, err = bot:stream(prompt, opts)
  if not reply then return nil, err, "" end
  if way == 3 then
    local answer, other = reply:result()
    return answer, other, got
  elseif way == 4 then
    local ok, problem = pcall(function() for text in reply:chunks() do got = got .. text end end)
    if not ok then return nil, problem, got end
    local answer, other = reply:result()
    return answer, other, got
  end
  repeat
    local text, what = reply:poll()
    got = got .. (text or "")
    if what == "wait" then reply:wait(0.01) end
  until not text and what ~= "wait"
  local answer, other = reply:result()
  return answer, other, got
end

local function take(opts)
  local t = turn(opts)
  local sent = { stream = opts.stream, tools = opts.tools and tools or nil, json = opts.json }
  if next(sent) == nil and chance(50) then sent = nil end
  local answer, other, got = ask(t.prompt, sent)
  if t.bad or opts.json then
    check(answer == nil, "the turn ended well")
    if got then check(got == t.text, ("delivered %q, sent %q"):format(got, t.text)) end
    local partial = other.partial or ""
    check(partial == t.final or partial == t.text, ("partial %q"):format(partial))
    if keep and t.final ~= "" then
      local kept = with(t.middle, said(t.final))
      if opts.json then outcome(t.base, kept) else outcome(kept) end
    elseif keep and t.added > 0 then
      outcome(t.base, t.middle)
    else
      outcome(t.base)
    end
  else
    check(answer ~= nil, "the turn failed: " .. tostring(other))
    check(answer == t.final, ("answer %q, sent %q"):format(tostring(answer), t.final))
    if got then check(got == t.text, ("delivered %q, sent %q"):format(got, t.text)) end
    check(other.message == bot:get_messages()[#bot:get_messages()] or notes, "reply.message")
    outcome(t.good)
  end
end


-- Steps --------------------------------------------------------------------------------

local steps, weights = {}, {}
local function kind(weight, name, fn)
  steps[name] = fn
  for _ = 1, weight do weights[#weights + 1] = name end
end

kind(14, "chat", function() take {} end)
kind(4, "parts", function() take { parts = true } end)
kind(4, "whole", function() take { stream = false } end)
kind(3, "length", function() take { finish = pick { "length", "content_filter" } } end)
kind(2, "empty", function() take { empty = true } end)
kind(14, "bad", function() take { kind = pick(BAD) } end)
kind(3, "bad parts", function() take { kind = pick(BAD), parts = true } end)
kind(3, "no JSON", function() take { json = true } end)
kind(10, "tools", function() take { tools = true } end)
kind(8, "bad tools", function() take { tools = true, kind = pick(BAD) } end)

-- Closed when all of the text that will come has come, or at once, or in a tool.
kind(8, "close", function()
  local t = turn { kind = "stall", tools = chance(30) }
  local reply = assert(bot:stream(t.prompt, t.added > 0 and { tools = tools } or nil))
  local got = ""
  if chance(30) then
    for _ = 1, random(3) - 1 do got = got .. (reply:poll() or "") end
    reply:close()
    local answer, err = reply:result()
    check(not answer and err.kind == "cancelled", "a closed reply")
    local now = bot:get_messages()
    -- what had come is not known: a beginning of it, or nothing
    if not keep then return outcome(t.base) end
    if compare(t.base, now) == nil then return outcome(t.base) end
    local list = with(t.middle)
    while #list > #now do list[#list] = nil end
    if #now > #t.middle then
      list[#now] = said(function(text) return text ~= "" and t.final:sub(1, #text) == text end)
    end
    outcome(list)
    local last = now[#now]
    if last.role == "assistant" and not last.tool_calls then model[#now] = said(last.content) end
    return
  end
  check(support.deadline(5, function()
    local text, problem = reply:poll()
    got = got .. (text or "")
    check(text or problem == "wait", "a stream that stalls ended: " .. tostring(problem))
    return got == t.text
  end), ("the text does not come: %q"):format(got))
  if chance(50) then -- busy: nothing changes
    local answer, err = bot:chat("another")
    check(not answer and err.kind == "busy", "a second chat")
    check(not bot:undo() and not bot:reset() and not bot:set_messages {}, "undo while busy")
    outcome(t.middle)
    model = t.base
  end
  if chance(50) then
    reply:close()
  else -- luacheck: ignore 542
    reply = nil
    collectgarbage()
    collectgarbage()
  end
  if keep then outcome(with(t.middle, said(t.final))) else outcome(t.base) end
end)

-- One of these beginnings of the turn, or nothing of it; with keep_partial, text of it, once.
local function given_up(t, least)
  local lists = { t.base }
  if keep then
    for n = t.first + least - 1, #t.good do
      local list = copy(t.good)
      for i = #list, n + 1, -1 do list[i] = nil end
      lists[#lists + 1] = list
    end
  end
  outcome(unpack(lists))
end

-- Closed when all of the text is there, and the answer with it or not.
kind(4, "close late", function()
  local t = turn {}
  local reply = assert(bot:stream(t.prompt, pick { false, { tools = tools }, { json = true } }
    or nil))
  local got, ended = "", nil
  check(support.deadline(5, function()
    local text, what = reply:poll()
    got, ended = got .. (text or ""), what
    return got == t.text or what and what ~= "wait"
  end), "the text does not come")
  if chance(30) then support.deadline(0.005, function() chatbot.poll(0.001) end) end
  reply:close()
  reply:close()
  if ended == "done" or reply.status == "complete" then return outcome(t.good) end
  if keep then outcome(t.good, type(ended) == "table" and t.base or t.good) else
    outcome(t.base)
  end
end)

kind(5, "close in a tool", function()
  local t = turn { tools = true }
  local at, n = random(3), 0
  in_tool = function()
    n = n + 1
    if n == at then current:close() end
  end
  current = assert(bot:stream(t.prompt, { tools = tools }))
  local answer, other = current:result()
  in_tool = nil
  if answer then return outcome(t.good) end -- fewer calls than that
  check(other.kind == "cancelled", "closed in a tool: " .. tostring(other))
  given_up(t, 2)
end)

kind(5, "an error in a callback", function()
  local t = turn { tools = chance(40) }
  local where = pick { "on_text", "on_event", "on_tool", "wait" }
  local at, n = random(3), 0
  local opts = { tools = t.added > 0 and tools or nil }
  opts[where] = function(reply)
    n = n + 1
    if n == at then error("raised", 0) end
    if where == "wait" then reply:wait(0.01) end
  end
  local ok, answer, other
  local async = chance(30)
  if async then
    local thread = coroutine.create(function() answer, other = bot:chat(t.prompt, opts) end)
    local raised
    repeat
      local resumed, problem = coroutine.resume(thread)
      local polled, too = pcall(chatbot.poll, 0.002) -- on_text is called by whoever polls
      if not resumed or not polled then
        check(not raised, "an error comes out twice")
        raised = { resumed and too or problem }
      end
    until coroutine.status(thread) == "dead"
    ok = not raised
    if raised then answer, other = nil, raised[1] end
  else
    ok, answer = pcall(bot.chat, bot, t.prompt, opts)
    if not ok then answer, other = nil, answer end
  end
  if ok and answer then return outcome(t.good) end -- it was not called so often
  check(not ok and other == "raised", "an error in " .. where .. " comes out as "
    .. tostring(other))
  if not bot:_busy() then -- whoever raised had the only reference
    collectgarbage()
    collectgarbage()
  end
  local now = bot:get_messages()
  -- the answer may have been whole before the callback was called
  if compare(t.good, now) == nil then return outcome(t.good) end
  if keep and #now == #t.middle + 1 then
    local text = now[#now].content
    check(type(text) == "string" and text ~= "" and t.final:sub(1, #text) == text, "what is kept")
    return outcome(with(t.middle, said(text)))
  elseif keep and t.added > 0 and #now > t.first then
    return given_up(t, 2)
  elseif keep and #now == t.first + 1 then
    local text = now[#now].content
    check(type(text) == "string" and t.text:sub(1, #text) == text, "what is kept")
    return outcome(with(user(t.base, now[#now - 1].content), said(text)))
  end
  outcome(t.base)
end)

kind(2, "too many rounds", function()
  local t
  repeat t = turn { tools = true } until t.rounds == 2
  local answer, reply = ask(t.prompt, { tools = tools, max_tool_rounds = 1 })
  check(answer and reply.status == "tool_calls", "rounds: " .. tostring(reply))
  local list = copy(t.middle)
  for i = #list, 1, -1 do -- without the second round's results
    if list[i].role ~= "tool" then break end
    list[i] = nil
  end
  outcome(list)
end)

kind(5, "their tools", function()
  local calls, results = some_calls "mine"
  local prompt = support.encode { n = step, rounds = support.array {
    { text = support.array {}, calls = calls }, { text = support.array { "done" } } } }
  local answer, reply = ask(prompt, { tools = theirs })
  check(answer == "" and reply.status == "tool_calls", "calls: " .. tostring(reply))
  outcome(with(user(model, prompt), { role = "assistant", content = "", calls = calls }))
  if chance(70) then
    for i, call in ipairs(calls) do
      if i == 1 or chance(70) then
        check(bot:tool_result(call.id, results[i].content) == bot, "tool_result")
        outcome(with(model, results[i]))
      else
        return -- the next prompt finds a call without a result
      end
    end
    answer, reply = ask(nil, { tools = theirs })
    check(answer == "done", "after the results: " .. tostring(reply))
    outcome(with(model, said("done")))
  end
end)

kind(4, "another model stands in", function()
  bot:set_model({ "alpha:first", "beta:second" })
  take { refuse = "first" }
  bot:set_model("alpha:m")
end)

kind(6, "undo", function()
  local at
  for i = #model, 1, -1 do
    if model[i].role == "user" then at = i break end
  end
  local removed = bot:undo()
  check((removed == nil) == (at == nil), "what undo returns")
  if not at then return outcome(model) end
  check(#removed == #model - at + 1, "how much undo returns")
  local list = copy(model)
  for i = #list, at, -1 do list[i] = nil end
  outcome(list)
end)

kind(5, "fork", function()
  local fork = bot:fork()
  check(fork ~= bot and fork:get_messages() ~= bot:get_messages(), "a fork is another bot")
  local left = chance(50) and bot or fork
  others[#others + 1] = { bot = left, wanted = copy(model) }
  if #others > 4 then table.remove(others, 1) end
  bot = left == bot and fork or bot
  outcome(model)
end)

local file = os.tmpname()
kind(3, "save and load", function()
  assert(chatbot.save(bot, file))
  bot = assert(chatbot.load(file, { base_url = servers.gamma.url, max_retries = 0, timeout = 20,
    keep_partial = keep }))
  outcome(model)
end)

kind(2, "reset", function()
  check(bot:reset() == bot, "reset")
  local list = {}
  for i, message in ipairs(model) do
    if message.role ~= "system" then break end
    list[i] = message
  end
  outcome(list)
end)

local function plain(list) -- messages as a program would write them
  local out = {}
  for i, message in ipairs(list) do
    out[i] = { role = message.role, content = message.content }
  end
  return out
end

kind(3, "set_messages", function()
  local list = {}
  if chance(50) then list[1] = { role = "system", content = "be brief" } end
  for i = 1, random(3) - 1 do
    list[#list + 1] = { role = "user", content = support.encode { n = i,
      rounds = { { text = { "old" } } } } }
    list[#list + 1] = said("answer " .. i)
  end
  if chance(30) then
    list[#list + 1] = { role = "user", content = support.encode { n = 0,
      rounds = { { text = { "old" } } } } }
  end
  local given = plain(list)
  check(bot:set_messages(given) == bot, "set_messages")
  for _, message in ipairs(given) do message.content = "changed" end
  outcome(list)
end)

kind(4, "set_model", function()
  keep = chance(40)
  bot:set_model(pick { "alpha:m1", "beta:m2", "gamma:m3" }, { keep_partial = keep })
  outcome(model)
end)

kind(6, "change the live list", function()
  local live, list, how = bot:get_messages(), copy(model), random(4)
  if how == 1 then
    live[#live + 1] = said("put in")
    list[#list + 1] = said("put in")
  elseif how == 2 and #list > 0 and not list[#list].calls and list[#list].role ~= "tool" then
    live[#live], list[#list] = nil, nil
  elseif how == 3 then
    for i, message in ipairs(list) do
      if message.role == "assistant" and not message.calls then
        live[i].content, message.content = "changed " .. step, "changed " .. step
        break
      end
    end
  end
  outcome(list)
end)

kind(2, "go on", function() -- without a prompt: the conversation as it stands
  if #model == 0 or model[#model].role ~= "user" then return end
  local content = model[#model].content
  if type(content) == "table" then content = content[1].text end
  local plan = require("cjson").decode(content)
  local round = plan.rounds[1]
  if not round or round.kind or round.calls or round.refuse or not round.text[1] then return end
  local answer, problem = ask(nil, nil)
  check(answer ~= nil, "without a prompt: " .. tostring(problem))
  outcome(with(model, said(table.concat(round.text))))
end)

kind(3, "trim", function()
  local gone = {}
  bot:set_model("alpha:m", { max_context_tokens = pick { 10, 50, 90 }, on_trim = function(list)
    for _, message in ipairs(list) do gone[#gone + 1] = message end
  end })
  local t = turn {}
  local answer, problem = bot:chat(t.prompt)
  check(answer ~= nil, "before trimming: " .. tostring(problem))
  local first = 1
  while t.good[first].role == "system" do first = first + 1 end
  local wanted, dropped = {}, {}
  for i, message in ipairs(t.good) do
    local list = i >= first and i < first + #gone and dropped or wanted
    list[#list + 1] = message
  end
  check(compare(dropped, gone) == nil, "on_trim: " .. tostring(compare(dropped, gone)))
  outcome(wanted)
  check(#model <= first - 1 or model[first].role == "user" or #gone == 0, "an exchange was cut")
  bot:set_model("alpha:m", { max_context_tokens = 1e9, on_trim = function() end })
end)

kind(2, "refused by ourselves", function()
  local answer, err = bot:chat("  \n ")
  check(not answer and err.kind == "config", "an empty prompt")
  answer, err = bot:chat("\255")
  check(not answer and err.kind == "config", "a prompt that is not UTF-8")
  outcome(model)
end)


-- The walk -------------------------------------------------------------------------------

print(("seed %d, %d steps"):format(seed, STEPS))
local started = support.now()
for n = 1, STEPS do
  step = n
  if served >= PER_SERVER then
    serve()
    others = {} -- they know the old server
    bot = chatbot.new { model = "alpha:m", max_retries = 0, timeout = 20, keep_partial = keep,
      messages = plain {} }
    model = {}
  end
  served = served + 1
  if #model > LONGEST then
    bot:reset()
    model = copy(bot:get_messages())
    for i = 1, #model do model[i] = { role = model[i].role, content = model[i].content } end
  end
  local name = pick(weights)
  trace[#trace + 1] = n .. " " .. name .. (keep and " (keep)" or "")
  if #trace > 20 then table.remove(trace, 1) end
  local ok, problem = pcall(steps[name])
  if not ok then fail("an error: " .. (type(problem) == "table" and text_of(problem)
    or tostring(problem))) end
  check(bot:_busy(), "the bot is busy after the step")
  for _, other in ipairs(others) do
    local difference = compare(other.wanted, other.bot:get_messages())
    check(not difference, "a fork, or what was forked: " .. tostring(difference))
  end
  if n % 50 == 0 then
    collectgarbage()
    check(chatbot.poll(0) == 0, "requests are under way")
  end
end
os.remove(file)
for _, server in pairs(servers) do server:close() end
print(("%.1f s under %s"):format(support.now() - started, support.interpreter()))
print(("walk: %d steps, 0 differences"):format(STEPS))
