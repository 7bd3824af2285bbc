local answers = require "spec.support.answers"
local options = require "chatbot.terminal.options"
local support = require "spec.support"

local unpack = table.unpack or unpack

describe("the command line", function()
  local good = {
    { {}, { verbose = 0 } },
    { { "hello", "world" }, { verbose = 0, prompt = "hello world" } },
    { { "-m", "gpt", "hi" }, { verbose = 0, model = "gpt", prompt = "hi" } },
    { { "-mgpt" }, { verbose = 0, model = "gpt" } },
    { { "--model=gpt=x" }, { verbose = 0, model = "gpt=x" } },
    { { "--model", "-x" }, { verbose = 0, model = "-x" } },
    { { "-s", "" }, { verbose = 0, system = "" } },
    { { "-vv", "-v" }, { verbose = 3 } },
    { { "-vmgpt" }, { verbose = 1, model = "gpt" } },
    { { "-vm", "gpt", "hi" }, { verbose = 1, model = "gpt", prompt = "hi" } },
    { { "--verbose", "--no-stream" }, { verbose = 1, no_stream = true } },
    { { "-t", "0.5", "--max-tokens", "7" }, { verbose = 0, temperature = 0.5, max_tokens = 7 } },
    { { "-t", "none" }, { verbose = 0, temperature = false } },
    { { "--logprobs=3" }, { verbose = 0, logprobs = 3 } },
    { { "--api", "responses", "--search" }, { verbose = 0, api = "responses", search = true } },
    { { "--reasoning", "low" }, { verbose = 0, reasoning = "low" } },
    { { "--reasoning=none" }, { verbose = 0, reasoning = false } },
    { { "--reasoning", "2000" }, { verbose = 0, reasoning = 2000 } },
    { { "--", "-m", "x" }, { verbose = 0, prompt = "-m x" } },
    { { "a", "-" }, { verbose = 0, prompt = "a -" } },
    { { "hi", "--offline", "-i" }, { verbose = 0, prompt = "hi", offline = true,
      interactive = true } },
  }
  for _, case in ipairs(good) do
    it("is read: " .. table.concat(case[1], " "), function()
      assert.same(case[2], options.parse(case[1]))
    end)
  end

  local bad = {
    { { "--nope" }, "unknown option --nope" },
    { { "-x" }, "unknown option -x" },
    { { "-vx" }, "unknown option -x" },
    { { "-m" }, "-m needs a value" },
    { { "--offline=1" }, "--offline takes no value" },
    { { "-t", "warm" }, '-t does not take "warm"' },
    { { "-t", "nan" }, '-t does not take "nan"' },
    { { "--max-tokens", "0" }, "--max-tokens does not take" },
    { { "--max-tokens", "1.5" }, "--max-tokens does not take" },
    { { "--logprobs", "21" }, "--logprobs does not take" },
    { { "--api", "gemini" }, '--api does not take "gemini"' },
    { { "--reasoning", "xhigh" }, '--reasoning does not take "xhigh"' },
    { { "--reasoning", "0" }, '--reasoning does not take "0"' },
  }
  for _, case in ipairs(bad) do
    it("is refused: " .. table.concat(case[1], " "), function()
      local parsed, problem = options.parse(case[1])
      assert.is_nil(parsed)
      assert.matches(case[2], problem, 1, true)
    end)
  end

  it("has each option in the help", function()
    for _, name in ipairs { "-m, --model NAME", "--env-file FILE", "--offline", "-h, --help" } do
      assert.matches(name, options.help(), 1, true)
    end
    for line in options.help():gmatch("[^\n]+") do assert.truthy(#line <= 100, line) end
  end)
end)

describe("a dotenv file", function()
  local good = {
    { "A=1", { A = "1" } },
    { "\239\187\191A=1\r\nB=2\r\n", { A = "1", B = "2" } },
    { "export A=1\n  export  B = 2 ", { A = "1", B = "2" } },
    { "# A=1\n\n   # x\nB=2", { B = "2" } },
    { "A=one two # rest\nB=a#b\nC=#c\nD=", { A = "one two", B = "a#b", C = "", D = "" } },
    { [[A='one # "two" \n' # rest]], { A = [[one # "two" \n]] } },
    { [[A="one # 'two'\n\"x\" \\ \$"]], { A = "one # 'two'\n\"x\" \\ $" } },
    { 'A=""\nB=\'\'', { A = "", B = "" } },
    { "A=1\nA=2", { A = "2" } },
    { "export A\nB", {} },
    { "A=1\rB=2", { A = "1", B = "2" } },
    { "export\tA = 1\n 'B' = 2\nC.d-e=3", { A = "1", B = "2", ["C.d-e"] = "3" } },
    { "A='one\n two'\nB=\"\n\"# rest\nC=3", { A = "one\n two", B = "\n", C = "3" } },
    { [[A='it\'s \\ \n']], { A = [[it's \ \n]] } },
    { [[A="C:\\"]] .. "\nB=\"\"", { A = [[C:\]], B = "" } },
    { [[A="\a\b\f\r\t\v\x"]], { A = "\a\b\f\r\t\v\\x" } },
    { "A=$HOME `id`\nB=1\nC=${B}${NO_SUCH_NAME}\nD='${NO_SUCH_NAME:-x:y}${B'",
      { A = "$HOME `id`", B = "1", C = "1", D = "x:y${B" } },
    { "A= # rest\nB=x#y # z", { A = "", B = "x#y" } },
    { "A=sk-a=b==", { A = "sk-a=b==" } },
    { "A=\"日本\"", { A = "日本" } },
  }
  for _, case in ipairs(good) do
    it(("is read: %q"):format(case[1]), function()
      assert.same(case[2], options.parse_env(case[1]))
    end)
  end

  local bad = {
    { "A=1\nnon sense", "line 2" }, { "A='secret", "line 1" }, { 'A="secret\\"', "line 1" },
    { "1A=secret", "line 1" }, { "A='secret'x", "line 1" }, { "A: secret", "line 1" },
    { "set A=secret", "line 1" }, { "A='it''s'", "line 1" }, { "=secret", "line 1" },
    { "A=secret\0", "line 1" }, { "\r\n\r\nA='\r\nsecret x\n\r=1", "lines 3, 4, 6" },
    { ("no no\n"):rep(9), "lines 1, 2, 3, 4, 5 and 4 more" },
  }
  for _, case in ipairs(bad) do
    it(("loses what is wrong in it, and tells by the line alone: %q"):format(case[1]), function()
      local env, problem = options.parse_env("FIRST=1\n" .. case[1] .. "\nLAST=1")
      env.A = nil
      assert.same({ FIRST = "1", LAST = "1" }, env)
      local _, alone = options.parse_env(case[1])
      assert.equal(case[2] .. ": not KEY=value, left out", alone)
      assert.not_matches("secret", problem .. alone, 1, true)
    end)
  end

  it("does not grow by its references", function()
    local lines = { "A0=xxxxxxxx" }
    for i = 1, 100 do lines[#lines + 1] = ("A%d=${A%d}${A%d}"):format(i, i - 1, i - 1) end
    local env, problem = options.parse_env(table.concat(lines, "\n"))
    assert.equal(2048, #env.A8)
    assert.is_nil(env.A9)
    assert.matches("line 10:", problem, 1, true)
  end)
end)

-- The environment of the program: this Lua's paths, and no key of anybody.
local function environment(extra)
  local env = {
    LUA_PATH = package.path, LUA_CPATH = package.cpath, LUA_INIT = false,
    HOME = "/nonexistent", NO_COLOR = false, CHATBOT_LOCAL_PORTS = "",
    CHATBOT_OFFLINE_DELAY = 0, http_proxy = false, TMUX = false, LC_ALL = "C.UTF-8",
    OPENAI_BASE_URL = false, OPENAI_ORG_ID = false, OPENAI_PROJECT_ID = false,
    AZURE_OPENAI_ENDPOINT = false,
  }
  support.unversioned(env)
  for _, provider in ipairs(require "chatbot.providers") do
    for _, name in ipairs(provider.api_key_env or {}) do env[name] = false end
  end
  for name, value in pairs(extra or {}) do env[name] = value end
  return env
end

local function command_line(args)
  local words = { support.interpreter(), "bin/chatbot" }
  for _, argument in ipairs(args) do words[#words + 1] = support.quote(argument) end
  return table.concat(words, " ")
end

-- Runs the program to its end: status, stdout, stderr.
local function run(args, input, env)
  local dir = support.tmpdir()
  support.write_file(dir .. "/in", input or "")
  local child = support.spawn(command_line(args), {
    env = environment(env), stdin = dir .. "/in",
  })
  local status = child:wait(20)
  local out, err = child:output()
  child:close()
  support.remove_all()
  assert(status, "still running: " .. out .. err)
  return status, out, err
end

-- A session without a terminal: lines in, what it says out.
local function session(args, lines, env)
  local all = { "-i", unpack(args) }
  return run(all, table.concat(lines, "\n") .. "\n", env)
end

local function models(...)
  local data = support.array {}
  for i, id in ipairs { ... } do data[i] = { id = id, object = "model" } end
  return support.http(200, {}, { object = "list", data = data })
end

local function no_key_sent(request)
  assert.is_nil(request.named.authorization)
  assert.is_nil(request.named["api-key"])
end

describe("bin/chatbot", function()
  after_each(function()
    support.close_all()
    support.remove_all()
  end)

  it("runs nothing that lies in the folder where it is called", function()
    local dir = support.tmpdir()
    assert(os.execute("mkdir -p " .. dir .. "/chatbot " .. dir .. "/http"))
    for _, name in ipairs { "cjson", "chatbot", "chatbot/init", "chatbot/core", "chatbot/terminal",
      "chatbot/offline", "cqueues", "http/server", "readline", "linenoise" } do
      support.write_file(dir .. "/" .. name .. ".lua", "io.stderr:write 'of this folder\\n'")
    end
    support.write_file(dir .. "/cjson.so", "of this folder")
    local env = environment {
      LUA_PATH = "./?.lua;./?/init.lua;?.lua;" .. package.path,
      LUA_CPATH = "./?.so;?.so;./lib?.so;" .. package.cpath,
    }
    local bin = support.absolute "bin/chatbot"
    local server = support.serve { support.sse { "Hello" } }
    for args, answer in pairs { ["-m m -b " .. server.url .. " hi"] = "Hello\n",
      ["--offline hi"] = "." } do
      local child = support.spawn(("%s %s %s"):format(support.interpreter(), bin, args),
        { env = env, cwd = dir })
      local status = child:wait(20)
      local out, err = child:output()
      child:close()
      assert.equal(0, status, err)
      assert.matches(answer, out)
      assert.not_matches("of this folder", err, 1, true)
    end
  end)

  describe("with a prompt", function()
    it("prints the answer, and nothing else, when the model is named", function()
      local s = support.serve { support.sse { "Hel", "lo" } }
      local status, out, err = run { "-b", s.url, "-m", "m", "Good", "day" }
      assert.same({ 0, "Hello\n", "" }, { status, out, err })
      local request = s:requests()[1]
      assert.equal("POST", request.method)
      assert.equal("/v1/chat/completions", request.target)
      assert.equal("m", request.json.model)
      assert.equal(0, request.json.temperature)
      assert.is_true(request.json.stream)
      assert.same({ { role = "user", content = "Good day" } }, request.json.messages)
      no_key_sent(request)
    end)

    it("takes the prompt from a pipe", function()
      local s = support.serve { support.sse { "x" } }
      local status, out = run({ "-b", s.url, "-m", "m" }, "first\nquit\n\n")
      assert.same({ 0, "x\n" }, { status, out })
      assert.equal("first\nquit", s:requests()[1].json.messages[1].content)
    end)

    it("puts piped text after the prompt and a blank line", function()
      local s = support.serve { support.sse { "x" } }
      run({ "-b", s.url, "-m", "m", "Sum it up:" }, "some\ntext\n")
      assert.equal("Sum it up:\n\nsome\ntext", s:requests()[1].json.messages[1].content)
    end)

    it("sends what the options say", function()
      local s = support.serve { support.json_completion("  whole \n") }
      local status, out = run { "-b", s.url, "-m", "m", "--no-stream", "-s", "Be brief.",
        "-t", "0.5", "--max-tokens", "9", "hi" }
      assert.same({ 0, "whole\n" }, { status, out })
      local body = s:requests()[1].json
      assert.falsy(body.stream)
      assert.equal(0.5, body.temperature)
      assert.equal(9, body.max_tokens)
      assert.same({ { role = "system", content = "Be brief." }, { role = "user", content = "hi" } },
        body.messages)
    end)

    it("leaves the temperature out on -t none", function()
      local s = support.serve { support.sse { "x" } }
      assert.equal(0, (run { "-b", s.url, "-m", "m", "-t", "none", "hi" }))
      assert.is_nil(s:requests()[1].json.temperature)
    end)

    it("passes control characters to a pipe as they are", function()
      local s = support.serve { support.sse { "a\27[31mb" } }
      local _, out = run { "-b", s.url, "-m", "m", "hi" }
      assert.equal("a\27[31mb\n", out)
    end)

    it("ends with 1 and one line on stderr when the server refuses", function()
      local s = support.serve { support.http(400, {}, { error = { message = "no\nsuch model" } }) }
      local status, out, err = run { "-b", s.url, "-m", "m", "hi" }
      assert.same({ 1, "" }, { status, out })
      assert.matches("^chatbot: [^\n]*no such model[^\n]*\n$", err)
    end)

    it("ends with 1 when nothing listens", function()
      local status, out, err = run { "-b", ("http://127.0.0.1:%d/v1"):format(support.dead_port()),
        "-m", "m", "hi" }
      assert.same({ 1, "" }, { status, out })
      assert.matches("^chatbot: [^\n]+\n$", err)
    end)

    it("ends with 1 when the stream breaks, after what had arrived", function()
      local s = support.serve { support.sse({ "Hel" }, { finish_reason = false, done = false }) }
      local status, out, err = run { "-b", s.url, "-m", "m", "hi" }
      assert.same({ 1, "Hel\n" }, { status, out })
      assert.matches("^chatbot: [^\n]+\n$", err)
    end)

    it("ends with 1 when the model's provider has no key, and names the variable", function()
      local status, _, err = run { "-m", "gemini-2.5-flash", "hi" }
      assert.equal(1, status)
      assert.matches("GOOGLE_API_KEY", err, 1, true)
    end)

    for _, args in ipairs { {}, { "-m", "m", "  " }, { "--nope" }, { "-t", "hot", "hi" },
      { "--env-file", "/nonexistent/env", "hi" } } do
      it("ends with 2 on wrong usage: " .. table.concat(args, " "), function()
        local status, out, err = run(args, " \n")
        assert.same({ 2, "" }, { status, out })
        assert.matches("^chatbot: ", err)
      end)
    end

    it("tells what is wrong, and not where in the program", function()
      for said, args in pairs {
        ["unknown provider 'nope' before the colon"] = { "-m", "nope:x", "hi" },
        ["unknown provider 'nope'\n"] = { "-p", "nope", "-m", "x", "hi" },
        ["unknown option --no[31mpe"] = { "--no\27[31mpe" },
      } do
        local _, _, err = run(args)
        assert.equal("chatbot: " .. said, err:sub(1, #said + 9))
      end
      local _, _, err = session({ "--offline" }, { "/model nope:x" })
      assert.matches("\nchatbot: unknown provider 'nope' before the colon", err, 1, true)
    end)

    it("finds the module around it from anywhere, also through a link", function()
      local name = support.interpreter():match("[^/]*$")
      local root = assert(io.popen("pwd"):read("*l"))
      local built = io.open(("%s/build/%s/chatbot/core.so"):format(root, name), "rb")
      if not built then return pending("no build/" .. name) end
      built:close()
      local dir = support.tmpdir()
      os.execute(("ln -s %s/bin/chatbot %s/link"):format(support.quote(root), dir))
      local child = support.spawn(support.interpreter() .. " ./link --version", {
        env = environment { LUA_PATH = false, LUA_CPATH = false }, cwd = dir,
      })
      finally(function() child:close() end)
      assert.equal(0, child:wait(10), (select(2, child:output())))
      assert.equal(require("chatbot")._VERSION .. "\n", (child:output()))
    end)

    it("prints its version and its help", function()
      local status, out = run { "--version" }
      assert.equal(0, status)
      assert.equal(require("chatbot")._VERSION .. "\n", out)
      status, out = run { "-h" }
      assert.equal(0, status)
      assert.equal(options.help() .. "\n", out)
    end)

    it("prints the usage with -v and the whole response with -vv, on stderr", function()
      local s = support.serve { support.sse({ "x" }, { usage = true }) }
      local _, out, err = run { "-b", s.url, "-m", "m", "-v", "hi" }
      assert.equal("x\n", out)
      assert.matches("12", err, 1, true)
      assert.not_matches("chatcmpl", err, 1, true)
      _, out, err = run { "-b", s.url, "-m", "m", "-vv", "hi" }
      assert.equal("x\n", out)
      assert.matches("chatcmpl", err, 1, true)
    end)

    it("says when the answer was cut at the limit", function()
      local s = support.serve { support.sse({ "x" }, { finish_reason = "length" }) }
      local status, out, err = run { "-b", s.url, "-m", "m", "hi" }
      assert.same({ 0, "x\n" }, { status, out })
      assert.matches("length limit", err, 1, true)
    end)
  end)

  describe("whose output cannot be written", function()
    -- The status of a shell command around the program, and its stderr.
    local function shell(format, ...)
      local command = format:format(command_line { ... })
      local child = support.spawn("sh -c " .. support.quote(command), { env = environment() })
      local status = child:wait(20)
      local out, err = child:output()
      child:close()
      return status, err, out
    end

    local function server()
      local words = {}
      for i = 1, 200 do words[i] = ("word "):rep(100) end
      return support.serve { support.sse(words) }
    end

    for name, redirection in pairs { ["is full"] = ">/dev/full", ["is closed"] = ">&-" } do
      it("ends with 1 and says so: " .. name, function()
        for _, args in ipairs { { "-b", server().url, "-m", "m", "hi" }, { "--version" },
          { "-b", server().url, "-m", "m", "--no-stream", "hi" } } do
          local status, err = shell("%s " .. redirection, unpack(args))
          assert.equal(1, status)
          assert.matches("^chatbot: standard output cannot be written: [^\n]+\n$", err)
        end
      end)
    end

    it("ends a session", function()
      local s = server()
      local status = shell("printf 'a\\nb\\n' | %s >/dev/full", "-b", s.url, "-m", "m", "-i")
      assert.equal(1, status)
      assert.equal(1, #s:requests())
    end)

    it("ends quietly when nobody reads it", function()
      for _, before in ipairs { "", "trap '' PIPE; " } do
        local _, err, out = shell(before .. "{ %s; echo $? >&2; } | head -c 10",
          "-b", server().url, "-m", "m", "hi")
        assert.equal("word word ", out)
        assert.truthy(err == "1\n" or err == "141\n", err)
      end
    end)

    it("does not send it elsewhere when the streams are closed", function()
      local s = server()
      shell("%s <&- >&- 2>&-", "-b", s.url, "-m", "m", "-v", "hi")
      assert.equal(1, #s:requests())
      assert.equal("hi", s:requests()[1].json.messages[1].content)
    end)
  end)

  it("asks in the dialect of --api, with --reasoning and --search, and names sources", function()
    local page = { type = "url_citation", url = "https://lua.example/", title = "Lua\27 5.5",
      start_index = 0, end_index = 3 }
    local s = support.serve { answers.responses.answer { { text = { "Yes." },
      citations = { page, page } } } }
    local status, out, err = run { "-b", s.url, "-m", "m", "--api", "responses", "--reasoning",
      "high", "--search", "x" }
    assert.same({ 0, "Yes.\n" }, { status, out })
    assert.equal("[https://lua.example/ Lua 5.5]\n", err)
    local request = s:requests()[1]
    assert.equal("/v1/responses", request.target)
    assert.equal("high", request.json.reasoning.effort)
    assert.equal("web_search", request.json.tools[1].type)
  end)

  describe("--logprobs", function()
    it("prints each token and its alternatives as probabilities", function()
      local function chunk(content, logprob, other, other_logprob)
        return {
          object = "chat.completion.chunk", id = "1", model = "m",
          choices = { { index = 0, delta = { content = content }, finish_reason = support.null,
            logprobs = { content = { { token = content, logprob = logprob, top_logprobs = {
              { token = content, logprob = logprob },
              { token = other, logprob = other_logprob },
            } } } } } },
        }
      end
      local s = support.serve { support.sse { chunk("Hi", -0.01, "Hey", -5),
        chunk('"\n', -0.5, "!", -1) } }
      local status, out = run { "-b", s.url, "-m", "m", "--logprobs", "2", "x" }
      assert.equal(0, status)
      local lines = {}
      for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line:gsub("  +", "  ") end
      assert.same({
        'Hi"',
        '"Hi"  0.99005', '  "Hi"  0.99005', '  "Hey"  0.00674',
        [["\"\n"  0.60653]], [[  "\"\n"  0.60653]], '  "!"  0.36788',
      }, lines)
      local body = s:requests()[1].json
      assert.is_true(body.logprobs)
      assert.equal(2, body.top_logprobs)
    end)

    it("shows bytes that are no character, and aligns the columns", function()
      local tokens = { "\240", "\159\152", "語", "e\204\129", "é", "a\194\155" }
      local entries = {}
      for i, token in ipairs(tokens) do entries[i] = { token = token, logprob = -1 } end
      local s = support.serve { support.sse { { content = "x", logprobs = entries },
        { object = "chat.completion.chunk", id = "1", model = "m", choices = { { index = 0,
          delta = {}, logprobs = { content = entries } } } } } }
      local _, out = run { "-b", s.url, "-m", "m", "--logprobs", "0", "x" }
      for _, line in ipairs {
        [["\xf0"]] .. (" "):rep(14), [["\x9f\x98"]] .. (" "):rep(10), '"語"' .. (" "):rep(16),
        '"e\204\129"' .. (" "):rep(17), '"é"' .. (" "):rep(17), [["a\xc2\x9b"]] .. (" "):rep(9),
      } do
        assert.matches(line .. " 0.36788\n", out, 1, true)
      end
    end)

    it("says so when the server sends none", function()
      local s = support.serve { support.sse { "x" } }
      local status, out, err = run { "-b", s.url, "-m", "m", "--logprobs", "2", "x" }
      assert.same({ 0, "x\n" }, { status, out })
      assert.matches("no logprobs", err, 1, true)
    end)
  end)

  describe("without a model named", function()
    it("takes the provider whose key is in the environment, and says why", function()
      local s = support.serve { support.sse { "x" } }
      local status, out, err = run({ "hi" }, nil,
        { OPENAI_API_KEY = "sk-1", OPENAI_BASE_URL = s.url })
      assert.same({ 0, "x\n" }, { status, out })
      assert.matches("gpt-4.1 of openai, because OPENAI_API_KEY is set", err, 1, true)
      assert.not_matches("sk-1", err, 1, true)
      assert.equal("gpt-4.1", s:requests()[1].json.model)
      assert.equal("Bearer sk-1", s:requests()[1].named.authorization)
    end)

    it("takes a local server's first model when there is no key", function()
      local s = support.serve { models("zeta", "mistral:7b"), support.sse { "x" } }
      local status, out, err = run({ "hi" }, nil, { CHATBOT_LOCAL_PORTS = s.port })
      assert.same({ 0, "x\n" }, { status, out })
      assert.matches("mistral:7b of the local server on port " .. s.port, err, 1, true)
      local requests = s:requests()
      assert.equal("/v1/models", requests[1].target)
      assert.equal("mistral:7b", requests[2].json.model)
      no_key_sent(requests[1])
      no_key_sent(requests[2])
    end)

    it("passes over a local server that does not answer, then takes the next", function()
      local dead, s = support.serve { { stall = true } }, support.serve { models "m",
        support.sse { "x" } }
      local from = support.now()
      local status, out = run({ "hi" }, nil,
        { CHATBOT_LOCAL_PORTS = ("%d,%d,%d"):format(support.dead_port(), dead.port, s.port) })
      assert.same({ 0, "x\n" }, { status, out })
      assert.truthy(support.now() - from < 5)
    end)

    for _, args in ipairs { { "hi" }, { "--summarize", "README.md" }, {} } do
      it("ends with 1 when there is nothing else, and says what it looked for: "
        .. (args[1] or "a pipe"), function()
        local status, out, err = run(args, "hi", {
          CHATBOT_LOCAL_PORTS = support.dead_port(),
        })
        assert.same({ 1, "" }, { status, out })
        assert.matches("^chatbot: [^\n]+\n$", err)
        for _, word in ipairs { "OPENAI_API_KEY", "GOOGLE_API_KEY", "--offline", "--base-url" } do
          assert.matches(word, err, 1, true)
        end
      end)
    end

    it("takes the offline server in a session when there is nothing else, and says so", function()
      local status, out, err = session({}, { "hi" })
      assert.equal(0, status)
      assert.matches("I am no language model", out, 1, true)
      assert.matches("no key in the environment, no local server", err, 1, true)
      assert.matches("offline", err, 1, true)
    end)

    it("takes the offline server with --offline although there is a key", function()
      local status, out = run({ "--offline", "こんにちは" }, nil, { OPENAI_API_KEY = "sk-1" })
      assert.equal(0, status)
      assert.matches("言語モデルではありません", out, 1, true)
    end)

    it("asks the server of --base-url for its models, and takes their names as they are", function()
      local s = support.serve { models("qwen:0.5b"), support.sse { "x" } }
      local status, out = run({ "-b", s.url, "hi" }, nil, { DASHSCOPE_API_KEY = "sk-1" })
      assert.same({ 0, "x\n" }, { status, out })
      assert.equal("qwen:0.5b", s:requests()[2].json.model)
      no_key_sent(s:requests()[2])
    end)

    it("ends with 1 when the server of --base-url lists nothing", function()
      local s = support.serve { support.http(404, {}, "no") }
      local status, _, err = run { "-b", s.url, "hi" }
      assert.equal(1, status)
      assert.matches("-m", err, 1, true)
    end)

    it("ends with 1 when the provider is unknown", function()
      local status, _, err = run { "-p", "nobody", "hi" }
      assert.equal(1, status)
      assert.matches("nobody", err, 1, true)
    end)
  end)

  describe("--env-file", function()
    local function env_file(text)
      local path = support.tmpdir() .. "/env"
      support.write_file(path, text)
      return path
    end

    -- What the server is sent as a key. "@" in the file is the server's URL, as is
    -- the argument "URL".
    local function authorization(text, args, env)
      local s = support.serve { support.sse { "x" } }
      local file = env_file((text:gsub("@", s.url)))
      local all = { "--env-file", file, unpack(args) }
      for i, argument in ipairs(all) do
        if argument == "URL" then all[i] = s.url end
      end
      local status, _, err = run(all, nil, env)
      assert.equal(0, status, err)
      return s:requests()[1].named.authorization, err
    end

    it("gives the key that the environment lacks, and the address", function()
      local text = "OPENAI_BASE_URL=@\nexport OPENAI_API_KEY='sk-file'"
      local key, err = authorization(text, { "-m", "gpt-4.1", "hi" })
      assert.equal("Bearer sk-file", key)
      assert.not_matches("sk-file", err, 1, true)
    end)

    it("counts as a key when no model is named", function()
      local key, err = authorization("OPENAI_BASE_URL=@\nOPENAI_API_KEY=sk-file", { "hi" })
      assert.equal("Bearer sk-file", key)
      assert.matches("gpt-4.1", err, 1, true)
    end)

    it("does not override the environment", function()
      local text = "OPENAI_BASE_URL=@\nOPENAI_API_KEY=sk-file"
      assert.equal("Bearer sk-env",
        (authorization(text, { "-m", "gpt-4.1", "hi" }, { OPENAI_API_KEY = "sk-env" })))
    end)

    it("gives no key to a URL of the user's", function()
      assert.is_nil((authorization("OPENAI_API_KEY=sk-file", { "-b", "URL", "-m", "gpt", "hi" })))
    end)

    it("gives a URL of the user's the key of the provider that is named", function()
      local text = "OPENAI_API_KEY=sk-file\nGROQ_API_KEY=sk-groq"
      assert.equal("Bearer sk-groq",
        (authorization(text, { "-b", "URL", "-p", "groq", "-m", "gpt", "hi" })))
    end)

    it("names the variable whose address is wrong, and does not show it", function()
      for _, url in ipairs { "https://user:SECRET@host/v1", "SECRET" } do
        local status, _, err = run { "--env-file", env_file("OPENAI_BASE_URL=" .. url),
          "-m", "gpt-4.1", "hi" }
        assert.equal(1, status)
        assert.matches("^chatbot: OPENAI_BASE_URL: [^\n]*URL[^\n]*\n$", err)
        assert.not_matches("SECRET", err, 1, true)
      end
    end)

    it("loses only the lines that are wrong, and names them on stderr", function()
      local key, err = authorization("secret line\nOPENAI_BASE_URL=@\nOPENAI_API_KEY=sk-file",
        { "-m", "gpt-4.1", "hi" })
      assert.equal("Bearer sk-file", key)
      assert.matches("env: line 1: not KEY=value", err, 1, true)
      assert.not_matches("secret", err, 1, true)
    end)
  end)

  describe("in a session", function()
    it("keeps the conversation, ignores blank lines and ends on quit", function()
      local s = support.serve { support.sse { "one" }, support.sse { "two" } }
      local status, out, err = session({ "-b", s.url, "-m", "m" },
        { "first", "", "  ", "second", "quit", "third" })
      assert.same({ 0, "one\ntwo\n", "" }, { status, out, err })
      assert.equal(2, #s:requests())
      assert.same({ { role = "user", content = "first" }, { role = "assistant", content = "one" },
        { role = "user", content = "second" } }, s:requests()[2].json.messages)
    end)

    for _, word in ipairs { "exit", "/quit", "/exit", "  quit " } do
      it("ends on " .. word, function()
        local s = support.serve { support.sse { "one" } }
        assert.equal(0, (session({ "-b", s.url, "-m", "m" }, { word, "no" })))
        assert.equal(0, #s:requests())
      end)
    end

    it("asks the prompt of the command line first", function()
      local s = support.serve { support.sse { "one" }, support.sse { "two" } }
      local _, out = session({ "-b", s.url, "-m", "m", "zero" }, { "first" })
      assert.equal("one\ntwo\n", out)
    end)

    it("goes on after a failure, with the conversation as it was", function()
      local s = support.serve { support.sse { "one" },
        support.http(400, {}, { error = { message = "broken" } }), support.sse { "three" } }
      local status, out, err = session({ "-b", s.url, "-m", "m" }, { "first", "second", "third" })
      assert.same({ 0, "one\nthree\n" }, { status, out })
      assert.matches("^chatbot: [^\n]*broken[^\n]*\n$", err)
      local contents = {}
      for i, message in ipairs(s:requests()[3].json.messages) do contents[i] = message.content end
      assert.same({ "first", "one", "third" }, contents)
    end)

    it("sends a text with one slash for two, and refuses an unknown command", function()
      local s = support.serve { support.sse { "one" } }
      local _, out, err = session({ "-b", s.url, "-m", "m" }, { "//etc/passwd?", "/nope x" })
      assert.equal("one\n", out)
      assert.matches("unknown command /nope", err, 1, true)
      assert.equal("/etc/passwd?", s:requests()[1].json.messages[1].content)
      assert.equal(1, #s:requests())
    end)

    it("changes the model with /model", function()
      local s = support.serve { support.sse { "one" }, support.sse { "two" } }
      local _, out = session({ "-b", s.url, "-m", "m" }, { "a", "/model other", "b", "/model" })
      local where = "other (" .. s.url .. ")\n"
      assert.equal("one\n" .. where .. "two\n" .. where, out)
      assert.equal("other", s:requests()[2].json.model)
      assert.equal(3, #s:requests()[2].json.messages)
    end)

    it("leaves the offline server by naming another model, and comes back", function()
      local _, out, err = session({}, { "/model gemini-2.5-flash", "hi", "/model eliza", "hi" })
      assert.matches("gemini-2.5-flash (gemini)", out, 1, true)
      assert.matches("GOOGLE_API_KEY", err, 1, true)
      assert.matches("I am no language model", out, 1, true)
    end)

    it("stays with a local server for a model that it lists, whatever it is called", function()
      local s = support.serve { models("b", "mistral:7b"), models("b", "mistral:7b"),
        support.sse { "x" } }
      local _, out = session({}, { "/model mistral:7b", "hi" }, {
        CHATBOT_LOCAL_PORTS = s.port, MISTRAL_API_KEY = false,
      })
      assert.matches("mistral:7b", out, 1, true)
      assert.matches("\nx\n$", out)
      assert.equal("mistral:7b", s:requests()[3].json.model)
    end)

    it("lists the models with /models", function()
      local s = support.serve { models("zeta", "alpha", "m") }
      local _, out = session({ "-b", s.url, "-m", "m" }, { "/models" })
      assert.equal("  alpha\n* m\n  zeta\n", out)
      assert.equal("GET", s:requests()[1].method)
    end)

    it("sets the system message with /system, in front and in place", function()
      local s = support.serve { support.sse { "one" }, support.sse { "two" } }
      local _, out = session({ "-b", s.url, "-m", "m" },
        { "/system", "a", "/system Be brief.", "/system Be kind.", "/system", "b" })
      assert.matches("no system message", out, 1, true)
      assert.matches("\nBe kind%.\ntwo\n$", out)
      local messages = s:requests()[2].json.messages
      assert.equal(4, #messages)
      assert.same({ role = "system", content = "Be kind." }, messages[1])
    end)

    it("adds up the tokens for /usage", function()
      local s = support.serve { support.sse({ "one" }, { usage = true }) }
      local _, out = session({ "-b", s.url, "-m", "m" }, { "/usage", "a", "b", "/usage" })
      assert.matches("no usage", out, 1, true)
      assert.matches("last answer: 7 prompt + 5 completion = 12 tokens", out, 1, true)
      assert.matches("session: 14 prompt + 10 completion = 24 tokens", out, 1, true)
    end)

    it("shows the conversation with /messages and forgets it with /reset", function()
      local s = support.serve { support.sse { "one" } }
      local _, out = session({ "-b", s.url, "-m", "m", "-s", "Be brief." },
        { "a", "/messages", "/reset", "/messages" })
      assert.matches("system: Be brief.\nuser: a\nassistant: one\n", out, 1, true)
      local _, count = out:gsub("user: a", "")
      assert.equal(1, count)
    end)

    it("saves the conversation and loads it in another session", function()
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local s = support.serve { support.sse { "いち" }, support.sse { "two" } }
      local _, out, err = session({ "-b", s.url, "-m", "m" }, { "first", "/save " .. path })
      assert.matches("2 messages saved", out, 1, true)
      assert.equal("", err)
      _, out = session({ "-b", s.url, "-m", "m" }, { "/load " .. path, "second" })
      assert.matches("2 messages loaded", out, 1, true)
      assert.same({ { role = "user", content = "first" }, { role = "assistant", content = "いち" },
        { role = "user", content = "second" } }, s:requests()[2].json.messages)
    end)

    it("saves an empty conversation as a list, which loads", function()
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local s = support.serve { support.sse { "x" } }
      local _, out, err = session({ "-b", s.url, "-m", "m" },
        { "/save " .. path, "/load " .. path })
      assert.equal("[]\n", support.read_file(path))
      assert.matches("0 messages loaded", out, 1, true)
      assert.equal("", err)
    end)

    it("saves for its owner only, and through a link", function()
      local path = os.tmpname()
      local link = path .. ".link"
      finally(function()
        os.remove(path)
        os.remove(link)
      end)
      os.remove(path)
      assert(os.execute(("ln -s %s %s"):format(support.quote(path), support.quote(link))))
      local s = support.serve { support.sse { "x" } }
      local _, out = session({ "-b", s.url, "-m", "m" }, { "/save " .. link })
      assert.matches("0 messages saved", out, 1, true)
      local pipe = assert(io.popen(("ls -l %s %s"):format(support.quote(path),
        support.quote(link))))
      local listed = pipe:read("*a")
      pipe:close()
      assert.matches("%f[-]%-rw%-%-%-%-%-%-%-", listed)
      assert.matches("%f[l]lrwx", listed)
    end)

    for name, text in pairs {
      ["no JSON"] = "{", ["a number"] = "7", ["a string"] = '"x"', ["null"] = "null",
      ["an object"] = '{"a":1}', ["messages without a role"] = '[{"content":"x"}]',
      ["a list of strings"] = '["x"]', ["a role that is no string"] = '[{"role":1}]',
    } do
      it("refuses to load " .. name .. " and keeps the conversation", function()
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        support.write_file(path, text)
        local s = support.serve { support.sse { "one" } }
        local status, out, err = session({ "-b", s.url, "-m", "m" },
          { "a", "/load " .. path, "/messages" })
        assert.equal(0, status)
        assert.matches("^chatbot: [^\n]+\n$", err)
        assert.matches("user: a\nassistant: one\n", out, 1, true)
      end)
    end

    it("says what is wrong with a file that cannot be read or written", function()
      local s = support.serve { support.sse { "one" } }
      local _, out, err = session({ "-b", s.url, "-m", "m" },
        { "/load /nonexistent/x", "/save /nonexistent/x", "/save", "/load" })
      assert.equal("", out)
      local _, lines = err:gsub("chatbot: [^\n]+\n", "")
      assert.equal(4, lines)
    end)

    it("drops the oldest exchange when the context limit is passed", function()
      local s = support.serve { support.sse({ "one" }, { usage = true }) }
      session({ "-b", s.url, "-m", "m", "-s", "sys", "--max-context-tokens", "10" },
        { "a", "b", "c" })
      local messages = s:requests()[3].json.messages
      assert.equal("system", messages[1].role)
      assert.equal("c", messages[#messages].content)
      for _, message in ipairs(messages) do assert.not_equal("a", message.content) end
    end)

    it("lists its commands with /help", function()
      local _, out = session({ "--offline" }, { "/help" })
      for _, name in ipairs { "model", "models", "system", "usage", "messages", "save", "load",
        "reset", "help", "quit" } do
        assert.matches("/" .. name .. " ", out, 1, true)
      end
    end)
  end)
end)

describe("bin/chatbot in a terminal", function()
  local dir, socket_name
  local count = 0

  local function tmux(...)
    local words = { "env -u TMUX tmux -L " .. socket_name .. " -f /dev/null" }
    for _, word in ipairs { ... } do words[#words + 1] = support.quote(word) end
    local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1", "r"))
    local out = pipe:read("*a")
    pipe:close()
    return out
  end

  local function screen()
    return tmux("capture-pane", "-p", "-J", "-t", "0")
  end

  -- Waits until the screen shows this text.
  local function see(text, seconds)
    local last
    local seen = support.deadline(seconds or 10, function()
      last = screen()
      return last:find(text, 1, true)
    end, 0.03)
    assert(seen, ("%q is not on the screen:\n%s"):format(text, tostring(last)))
    return last
  end

  local function keys(...)
    for _, key in ipairs { ... } do tmux("send-keys", "-t", "0", key) end
  end

  local function open(args, env)
    count = count + 1
    dir = support.tmpdir()
    socket_name = ("chatbot-spec-%d-%s"):format(count, dir:match("[^/]*$"))
    -- Ctrl-C also reaches the shell around the program, which has to live on.
    local lines = { "trap : INT", "cd " .. support.quote((assert(io.popen("pwd"):read("*l")))) }
    for name, value in pairs(environment(env)) do
      lines[#lines + 1] = value == false and "unset " .. name
        or "export " .. name .. "=" .. support.quote(tostring(value))
    end
    lines[#lines + 1] = command_line(args)
    lines[#lines + 1] = "echo \"status=$?\""
    lines[#lines + 1] = "read line" -- keeps the screen
    support.write_file(dir .. "/run", table.concat(lines, "\n") .. "\n")
    tmux("new-session", "-d", "-x", "100", "-y", "40", "sh " .. dir .. "/run")
  end

  after_each(function()
    if socket_name then tmux("kill-server") end
    socket_name = nil
    support.close_all()
    support.remove_all()
  end)

  it("holds a conversation at a prompt, streams, and ends on quit", function()
    local s = support.serve { support.sse({ "One ", "two ", "three." }, { every = 0.3 }) }
    open { "-b", s.url, "-m", "m" }
    see "you> "
    keys("hello", "Enter")
    assert.not_matches("three", see("One two"), 1, true)
    see "One two three.\nyou>"
    keys("quit", "Enter")
    see "status=0"
  end)

  it("stops an answer with Ctrl-C, keeps the program and the conversation", function()
    local s = support.serve { support.sse { "First." },
      support.sse({ "Slow ", "and ", "never", "ending" }, { every = 2 }), support.sse { "Third." } }
    open { "-b", s.url, "-m", "m" }
    see "you> "
    keys("one", "Enter")
    see "First."
    keys("two", "Enter")
    see "Slow"
    local from = support.now()
    keys "C-c"
    see "(stopped)"
    assert.truthy(support.now() - from < 1)
    keys("three", "Enter")
    see "Third."
    local contents = {}
    for i, message in ipairs(s:requests()[3].json.messages) do contents[i] = message.content end
    assert.same({ "one", "First.", "three" }, contents)
    keys("quit", "Enter")
    see "status=0"
  end)

  it("stops an answer of the offline server, which lives on", function()
    open({ "--offline" }, { CHATBOT_OFFLINE_DELAY = 200 })
    see "you> "
    keys("hello", "Enter")
    see "I am no"
    keys "C-c"
    see "(stopped)"
    keys("hello", "Enter")
    support.deadline(5, function() return select(2, screen():gsub("I am no", "")) == 2 end, 0.05)
    assert.equal(2, select(2, screen():gsub("I am no", "")))
  end)

  it("ends quietly with 130 on Ctrl-C at the prompt", function()
    open({ "--offline" })
    see "you> "
    keys "C-c"
    local last = see "status=130"
    assert.not_matches("interrupted", last, 1, true)
    assert.not_matches("traceback", last, 1, true)
  end)

  it("ends on Ctrl-C at the prompt also after an answer was stopped", function()
    local s = support.serve { support.sse({ "Slow", "x" }, { every = 3 }) }
    open { "-b", s.url, "-m", "m" }
    see "you> "
    keys("hello", "Enter")
    assert.truthy(s:wait(1))
    keys "C-c"
    see "(stopped)"
    see "(stopped)\nyou>"
    keys "C-c"
    see "status=130"
  end)

  it("ends with 130 when the one answer is stopped", function()
    local s = support.serve { support.sse({ "Slow", "x" }, { every = 3 }) }
    open { "-b", s.url, "-m", "m", "hello" }
    assert.truthy(s:wait(1))
    keys "C-c"
    see "status=130"
  end)

  it("ends with 130 while it reads the page to summarise", function()
    open { "--offline", "--summarize", "-" }
    see "offline server answers"
    keys("Some text.", "Enter", "C-c")
    see "status=130"
  end)

  it("ends on Ctrl-D", function()
    open { "--offline" }
    see "you> "
    keys "C-d"
    see "status=0"
  end)

  it("keeps control characters of the answer from the terminal", function()
    local s = support.serve { support.sse { "a\27]0;title\7b\27[2Jc" } }
    open { "-b", s.url, "-m", "m" }
    see "you> "
    keys("hello", "Enter")
    see "a]0;titleb[2Jc"
  end)

  -- All that is written to the terminal, as bytes.
  local function written(args)
    local pipe = assert(io.popen("env TERM=xterm NO_COLOR=1 script -qec "
      .. support.quote(command_line(args)) .. " /dev/null </dev/null 2>&1", "r"))
    local out = pipe:read("*a")
    pipe:close()
    return out
  end

  it("writes nothing that steers a terminal: answer, name of the model, error", function()
    local evil = "a\27]0;t\7b\194\15531mc\226\128\174d\226\129\166e\226\128\168f\127g"
    for _, script in ipairs {
      support.sse({ evil, "\194", "\155", "\226\128", "\174" }, { model = evil, usage = true }),
      support.http(400, {}, { error = { message = evil } }),
      support.http(500, { ["Content-Type"] = "text/html" }, evil),
    } do
      local s = support.serve { script }
      local out = written { "-b", s.url, "-m", "m", "-v", "hi" }
      assert.matches("a ?]0;t", out)
      for _, bad in ipairs { "\27", "\7", "\194\155", "\226\128\174", "\226\129\166", "\127",
        "\226\128\168" } do
        assert.is_nil(out:find(bad, 1, true), out)
      end
      assert.is_nil(out:find("[%z\1-\9\11\12\14-\31]"))
    end
  end)

  it("begins a line for -v below the answer", function()
    local s = support.serve { support.sse({ "One ", "two." }, { usage = true, every = 0.05 }) }
    assert.matches("One two%.\r\n%[test%-model%] tokens: [^\n]*\r\n$",
      written { "-b", s.url, "-m", "m", "-v", "hi" })
    assert.matches("One two%.\r\n%[test%-model%] tokens: [^\n]*\r\n$",
      written { "-b", s.url, "-m", "m", "-v", "--no-stream", "hi" })
  end)

  if pcall(require, "readline") then
    it("brings back the last line with the arrow key", function()
      local s = support.serve { support.sse { "One." }, support.sse { "Two." } }
      open { "-b", s.url, "-m", "m" }
      see "you> "
      keys("日本語 text", "Enter")
      see "One."
      keys("Up", "!", "Enter")
      see "Two."
      assert.equal("日本語 text!", s:requests()[2].json.messages[3].content)
    end)
  end
end)
