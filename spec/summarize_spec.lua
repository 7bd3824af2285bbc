-- The page summariser: parts and estimates, the work over a scripted chat server, and the two
-- programs against a scripted page server as well.

local chatbot = require "chatbot"
local summary = require "chatbot.summary"
local support = require "spec.support"

local function environment(extra)
  local env = {
    LUA_PATH = package.path, LUA_CPATH = package.cpath, LUA_INIT = false,
    HOME = "/nonexistent", NO_COLOR = "1", CHATBOT_LOCAL_PORTS = "", http_proxy = false,
    OPENAI_BASE_URL = false, OPENAI_ORG_ID = false, OPENAI_PROJECT_ID = false, LC_ALL = "C.UTF-8",
  }
  support.unversioned(env)
  for _, provider in ipairs(require "chatbot.providers") do
    for _, name in ipairs(provider.api_key_env or {}) do env[name] = false end
  end
  for name, value in pairs(extra or {}) do env[name] = value end
  return env
end

-- Runs a program to its end: status, stdout, stderr.
local function run(program, args, opts)
  opts = opts or {}
  local words = { support.interpreter(), program }
  for _, argument in ipairs(args) do words[#words + 1] = support.quote(argument) end
  local dir = support.tmpdir()
  support.write_file(dir .. "/in", opts.stdin or "")
  local child = support.spawn(table.concat(words, " "), {
    env = environment(opts.env), stdin = dir .. "/in",
  })
  local status = child:wait(20)
  local out, err = child:output()
  child:close()
  assert(status, "still running: " .. out .. err)
  return status, out, err
end

local function html(body)
  return support.http(200, { { "Content-Type", "text/html; charset=utf-8" } }, body)
end

-- The text between the marks, and the whole prompt, of the n-th request.
local function asked(server, n)
  local messages = server:requests()[n].json.messages
  assert.equal(2, #messages)
  assert.equal("system", messages[1].role)
  return messages[2].content:match("<text>\n(.*)\n</text>$"), messages[2].content
end

local function overflow(message, extra)
  local err = { message = message }
  for key, value in pairs(extra or {}) do err[key] = value end
  return support.http(400, {}, { error = err })
end

-- n paragraphs of about 25 tokens, each with its number.
local function paragraphs(n)
  local out = {}
  for i = 1, n do
    out[i] = ("Paragraph %d tells how the %d barges came down the river, one after the other, "
      .. "in fog."):format(i, i)
  end
  return table.concat(out, "\n\n")
end

describe("the parts of a text", function()
  local TEXTS = {
    english = paragraphs(60),
    headings = (paragraphs(60):gsub("(Paragraph %d*0 )", "## Heading before %1\n\n%1")),
    one_paragraph = (paragraphs(60):gsub("\n\n", " ")),
    one_line_of_words = ("word "):rep(800),
    no_blanks = ("x"):rep(4000),
    japanese = ("霧の中を一艘ずつ、荷船が川を下ってきた。船頭たちは声を掛け合った。\n\n"):rep(40),
    japanese_without_stops = ("霧の中を一艘ずつ荷船が川を下"):rep(60),
    lines = (paragraphs(60):gsub("\n\n", "\n")),
  }
  for name, text in pairs(TEXTS) do
    it("are all of it, in order, and none too large: " .. name, function()
      for _, limit in ipairs { 120, 300, 700 } do
        local parts = summary.split(text, limit)
        assert.truthy(#parts >= summary.estimate(text) / limit)
        assert.truthy(#parts <= summary.estimate(text) / limit * 2 + 1)
        for _, part in ipairs(parts) do
          assert.truthy(summary.estimate(part) <= limit)
          assert.falsy(part:find("^[\128-\191]"))
          assert.truthy(part:find("%S"))
        end
        assert.equal((text:gsub("%s", "")), (table.concat(parts):gsub("%s", "")))
      end
    end)
  end

  it("end where paragraphs end, and no heading is left behind", function()
    for _, limit in ipairs { 120, 300, 700 } do
      for _, part in ipairs(summary.split(TEXTS.headings, limit)) do
        assert.matches("fog%.$", part)
      end
    end
  end)

  it("are the text itself where it fits", function()
    assert.same({ "a\n\nb" }, summary.split("a\n\nb", 100))
  end)
end)

describe("the estimate of tokens", function()
  it("is near what tokenizers make of a text, and rather above", function()
    assert.truthy(summary.estimate(("hello world "):rep(100)) >= 200)
    assert.truthy(summary.estimate(("hello world "):rep(100)) <= 400)
    assert.truthy(summary.estimate(("日本語"):rep(100)) >= 300)
    assert.truthy(summary.estimate(("日本語"):rep(100)) <= 400)
    assert.equal(0, summary.estimate(""))
  end)
end)

describe("a context that overflows", function()
  local yes = {
    { kind = "http", status = 400, code = "context_length_exceeded", message = "x" },
    { kind = "http", status = 400, message = "This model's maximum context length is 4097." },
    { kind = "http", status = 400, type = "exceed_context_size_error", message = "x" },
    { kind = "http", status = 500, type = "exceed_context_size_error", message = "x" },
    { kind = "http", status = 400, message = "the request exceeds the available context size" },
    { kind = "http", status = 400, message = "prompt is too long: 210000 > 200000 maximum" },
    { kind = "http", status = 400, message = "The input token count (120) exceeds the maximum" },
    { kind = "http", status = 400, message = "Prompt contains 40000 tokens, too large for model "
      .. "with 32768 maximum context length" },
    { kind = "http", status = 413, message = "Request too large" },
    { kind = "api", message = "Context window overflow" },
  }
  for _, err in ipairs(yes) do
    it("is known: " .. (err.code or err.type or err.message), function()
      assert.is_true(summary.is_overflow(err))
    end)
  end
  local no = {
    { kind = "http", status = 401, message = "bad key" },
    { kind = "http", status = 429, message = "Rate limit reached, maximum 3 per minute" },
    { kind = "http", status = 500, message = "context deadline exceeded" },
    { kind = "timeout", message = "maximum context length" },
    { kind = "http", status = 400, message = "context is not a known field" },
  }
  for _, err in ipairs(no) do
    it("is not taken for it: " .. err.message, function()
      assert.is_false(summary.is_overflow(err))
    end)
  end
end)

describe("a summary", function()
  after_each(function()
    support.close_all()
    collectgarbage()
  end)

  local function bot_for(server)
    return chatbot.new { model = "m", base_url = server.url, api_key = "k", system = "Be kind.",
      timeout = 10, max_retries = 0 }
  end

  it("of a short page is one request, streamed, and the bot stays as it was", function()
    local s = support.serve { support.sse { "A page ", "about barges." } }
    local bot, pieces = bot_for(s), {}
    local answer, reply = summary.summarize(bot, { text = paragraphs(3), title = "Barges",
      date = "2025-01-02", language = "de", url = "https://example.org/b" }, {
      wish = "Only the numbers.",
      call = { on_text = function(text) pieces[#pieces + 1] = text end, max_tokens = 77 },
    })
    assert.equal("A page about barges.", answer)
    assert.equal("complete", reply.status)
    assert.equal(answer, table.concat(pieces))
    local text, prompt = asked(s, 1)
    assert.equal(paragraphs(3), text)
    for _, part in ipairs { "Title: Barges", "Published: 2025-01-02", "(de)", "Only the numbers.",
      "https://example.org/b", "long", "detail" } do
      assert.truthy(prompt:lower():find(part:lower(), 1, true), part)
    end
    assert.equal(77, s:requests()[1].json.max_tokens)
    assert.equal(1, #s:requests())
    assert.same({ { role = "system", content = "Be kind." } }, bot:get_messages())
  end)

  it("is in another language when that is asked for", function()
    local s = support.serve { support.sse { "x" } }
    assert(summary.summarize(bot_for(s), { text = "x", language = "de" },
      { language = "Japanese" }))
    local _, prompt = asked(s, 1)
    assert.matches("Write in Japanese.", prompt, 1, true)
    assert.not_matches("(de)", prompt, 1, true)
  end)

  it("of a long page is made of notes on its parts, and only that is shown", function()
    local s = support.serve { support.sse { "note one" }, support.sse { "note two" },
      support.sse { "note three" }, support.sse { "the whole" } }
    local shown, told = {}, {}
    local answer = assert(summary.summarize(bot_for(s), { text = paragraphs(60) }, {
      context_tokens = 1500, -- 600 for a part
      on_progress = function(what) told[#told + 1] = what end,
      call = { on_text = function(text) shown[#shown + 1] = text end },
    }))
    assert.equal("the whole", answer)
    assert.equal("the whole", table.concat(shown))
    assert.same({ "part 1 of 3", "part 2 of 3", "part 3 of 3" }, told)
    local all = {}
    for i = 1, 3 do
      local text, prompt = asked(s, i)
      all[i] = text
      assert.matches(("part %d of 3"):format(i), prompt, 1, true)
      assert.truthy(summary.estimate(text) <= 600)
    end
    assert.equal(paragraphs(60), table.concat(all, "\n\n"))
    assert.equal("note one\n\nnote two\n\nnote three", (asked(s, 4)))
    assert.equal(4, #s:requests())
  end)

  it("goes on with smaller parts when a part was too much", function()
    local s = support.serve {
      support.sse { "note one" },
      overflow("maximum context length is 512 tokens", { code = "context_length_exceeded" }),
      support.sse { "note two" }, support.sse { "note three" }, support.sse { "note four" },
      support.sse { "note five" }, support.sse { "the whole" },
    }
    local answer = assert(summary.summarize(bot_for(s), { text = paragraphs(60) },
      { context_tokens = 1500 }))
    assert.equal("the whole", answer)
    local seen, failed = {}, (asked(s, 2))
    for i = 1, #s:requests() - 1 do
      local text = asked(s, i)
      if i ~= 2 then seen[#seen + 1] = text end
      if i > 2 then assert.truthy(#text < #failed * 0.7) end
    end
    assert.equal(paragraphs(60), table.concat(seen, "\n\n"))
    local last = asked(s, #s:requests())
    assert.truthy(last:find("^note one\n\nnote two\n\n.*note"))
  end)

  it("goes into parts when the server finds the page too long after all", function()
    local s = support.serve {
      overflow("the request exceeds the available context size",
        { type = "exceed_context_size_error" }),
      support.sse { "first half" }, support.sse { "second half" }, support.sse { "third" },
      support.sse { "the whole" },
    }
    local answer = assert(summary.summarize(bot_for(s), { text = paragraphs(30) }))
    assert.truthy(answer == "the whole" or answer == "third")
    assert.equal(paragraphs(30), (asked(s, 1)))
    assert.equal("first half\n\nsecond half", (asked(s, #s:requests())):sub(1, 23))
  end)

  it("fails when even the smallest part is too much, after a few tries", function()
    local s = support.serve { overflow("maximum context length is 3 tokens") }
    local answer, err = summary.summarize(bot_for(s), { text = paragraphs(100) })
    assert.is_nil(answer)
    assert.equal("http", err.kind)
    assert.truthy(#s:requests() <= 6)
  end)

  it("fails when the notes are no shorter than the page", function()
    local s = support.serve { support.sse { paragraphs(40) } }
    local answer, err = summary.summarize(bot_for(s), { text = paragraphs(60) },
      { context_tokens = 1000 })
    assert.is_nil(answer)
    assert.equal("limit", err.kind)
    assert.truthy(#s:requests() <= 8)
  end)

  it("passes another failure on, and does not ask for a page without text", function()
    local s = support.serve { support.http(401, {}, { error = { message = "bad key" } }) }
    local answer, err = summary.summarize(bot_for(s), { text = paragraphs(60) },
      { context_tokens = 1000 })
    assert.is_nil(answer)
    assert.equal(401, err.status)
    answer, err = summary.summarize(bot_for(s), { text = " \n" })
    assert.is_nil(answer)
    assert.matches("no text", tostring(err), 1, true)
    assert.equal(1, #s:requests())
  end)

  it("yields in a coroutine and never blocks it", function()
    local s = support.serve { { { sleep = 0.15 }, support.sse { "note" } },
      { { sleep = 0.15 }, support.sse { "note" } }, { { sleep = 0.15 }, support.sse { "whole" } } }
    local bot = bot_for(s)
    local co = coroutine.create(function()
      return "answer", summary.summarize(bot, { text = paragraphs(40) }, { context_tokens = 1500 })
    end)
    local limit, turns = support.now() + 8, 0
    local ok, what, answer
    while coroutine.status(co) == "suspended" and support.now() < limit do
      local before = support.now()
      ok, what, answer = coroutine.resume(co)
      assert.truthy(ok, what)
      assert.truthy(support.now() - before < 0.1)
      turns = turns + 1
      chatbot.poll(0.01)
    end
    assert.same({ "answer", "whole" }, { what, answer })
    assert.truthy(turns > 6)
  end)
end)

describe("a program that summarises", function()
  after_each(function()
    support.close_all()
    support.remove_all()
  end)

  local PAGE = "<html lang=en><title>Barges in fog</title><nav><a href=/>Start page</a></nav><main>"
    .. "<h1>Barges in fog</h1><p>" .. paragraphs(4):gsub("\n\n", "</p><p>") .. "</p></main>"

  local function example(page, chat, more)
    return run("examples/summarize.lua", { page, "gpt-4.1" },
      { env = { OPENAI_BASE_URL = chat.url, OPENAI_API_KEY = "sk-summary-secret" },
        stdin = more })
  end

  it("examples/summarize.lua streams a summary of an address; no key goes there", function()
    local chat = support.serve { support.sse { "It is about ", "barges." } }
    local pages = support.serve { support.http(302, { { "Location", "/new" } }), html(PAGE) }
    local status, out, err = example(pages.origin .. "/old", chat)
    assert.same({ 0, "# Barges in fog\n\nIt is about barges.\n", "" }, { status, out, err })
    assert.equal(paragraphs(4), (asked(chat, 1)))
    assert.equal("gpt-4.1", chat:requests()[1].json.model)
    assert.is_true(chat:requests()[1].json.stream)
    assert.equal("Bearer sk-summary-secret", chat:requests()[1].named.authorization)
    assert.equal(2, #pages:requests())
    for _, request in ipairs(pages:requests()) do
      for _, header in ipairs(request.headers) do
        assert.not_matches("secret", header[2], 1, true)
      end
    end
  end)

  it("examples/summarize.lua reads standard input", function()
    local chat = support.serve { support.sse { "x" } }
    local status, out = example("-", chat, PAGE)
    assert.same({ 0, "# Barges in fog\n\nx\n" }, { status, out })
    assert.equal(paragraphs(4), (asked(chat, 1)))
  end)

  it("examples/summarize.lua says what is wrong, and asks nothing then", function()
    local chat = support.serve { support.sse { "x" } }
    local pages = support.serve { support.http(404, {}, "<h1>gone</h1>") }
    for _, from in ipairs { pages.origin .. "/x", "/nonexistent/page.html", "gopher://x/" } do
      local status, out, err = example(from, chat)
      assert.same({ 1, "" }, { status, out })
      assert.matches("^summarize.lua: [^\n]+\n$", err)
    end
    assert.equal(0, #chat:requests())
  end)

  local function program(args, opts)
    return run("bin/chatbot", args, opts)
  end

  it("chatbot --summarize does it with its options", function()
    local chat = support.serve { support.sse { "barges" } }
    local pages = support.serve { html(PAGE) }
    local status, out, err = program { "-b", chat.url, "-m", "m", "--summarize", pages.origin,
      "--language", "Klingon", "--max-tokens", "99", "Count", "them." }
    assert.same({ 0, "barges\n", "" }, { status, out, err })
    local text, prompt = asked(chat, 1)
    assert.equal(paragraphs(4), text)
    assert.matches("Write in Klingon.", prompt, 1, true)
    assert.matches("Count them.", prompt, 1, true)
    assert.equal(99, chat:requests()[1].json.max_tokens)
    assert.is_nil(pages:requests()[1].named.authorization)
  end)

  it("chatbot --summarize reads a long page in parts, and says so on stderr", function()
    local chat = support.serve { support.sse { "n1" }, support.sse { "n2" }, support.sse { "all" } }
    local status, out, err = program({ "-b", chat.url, "-m", "m", "--summarize", "-",
      "--context-tokens", "1500" }, { stdin = "<p>" .. paragraphs(40):gsub("\n\n", "<p>") })
    assert.same({ 0, "all\n", "(part 1 of 2)\n(part 2 of 2)\n" }, { status, out, err })
    assert.equal("n1\n\nn2", (asked(chat, 3)))
  end)

  it("chatbot --summarize prints the whole answer with --no-stream", function()
    local chat = support.serve { support.json_completion "  whole " }
    local status, out = program({ "-b", chat.url, "-m", "m", "--no-stream", "--summarize", "-" },
      { stdin = PAGE })
    assert.same({ 0, "whole\n" }, { status, out })
  end)

  local bad = {
    { "that is not there", function() return support.http(404, {}, "gone") end, "HTTP 404" },
    { "that is no page", function()
      return support.http(200, { { "Content-Type", "application/zip" } }, "PK\3\4")
    end, "application/zip" },
    { "that is too large", function()
      return { support.head(200, { { "Content-Type", "text/html" } }),
        { repeat_bytes = ("x"):rep(10000), times = 2000 } }
    end, "larger than 8388608 bytes" },
    { "without text", function() return html "<div id=app></div><script>go()</script>" end,
      "no text" },
    { "that goes round in circles", function()
      return support.http(301, { { "Location", "/" } })
    end, "redirects more than 5 times" },
  }
  for _, case in ipairs(bad) do
    it("chatbot --summarize ends with 1 and one line for a page " .. case[1], function()
      local chat = support.serve { support.sse { "x" } }
      local pages = support.serve { case[2]() }
      local status, out, err = program { "-b", chat.url, "-m", "m", "--summarize",
        pages.origin .. "/" }
      assert.same({ 1, "" }, { status, out })
      assert.matches("^chatbot: [^\n]+\n$", err)
      assert.matches(case[3], err, 1, true)
      assert.equal(0, #chat:requests())
    end)
  end
end)
