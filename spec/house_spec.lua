-- The house that src/ is: what only one floor may know, and what two sides share. That a
-- file includes only what is below it is proved by `make layers`.

local support = require "spec.support"

local function files(pattern)
  local pipe = assert(io.popen("ls " .. pattern))
  local list = {}
  for name in pipe:lines() do list[#list + 1] = name end
  pipe:close()
  return list
end

local function code_of(file)
  local text = assert(support.read_file(file))
  return file:find("%.lua$") and text:gsub("%-%-[^\n]*", "") or text:gsub("/%*.-%*/", " ")
end

local C_FILES = files "src/*.c src/*/*.[ch]"

describe("the names of the wire", function()
  -- What chat completions have and the module's own words have not. The names of a message
  -- and of usage are everybody's.
  local WIRE = { "choices", "delta", "stream_options", "include_usage", "finish_reason",
    "response_format", "json_schema", "json_object", "x_groq", "reasoning_content", "obfuscation",
    "tool_choice", "parallel_tool_calls", "max_completion_tokens", "logprobs", "top_logprobs" }
  local TEXTS = { "chat%.completion", "/chat/completions", "%[DONE%]" }
  -- Where such a name is another thing.
  local OTHER = {
    ["src/provider/provider.c"] = { -- columns of the table of providers
      stream_options = true, json_schema = true, json_object = true },
  }

  local function names_in(file)
    local code, seen = code_of(file), {}
    for _, name in ipairs(WIRE) do
      if code:find('"' .. name .. '"', 1, true) then seen[#seen + 1] = name end
    end
    for _, pattern in ipairs(TEXTS) do
      if code:find(pattern) then seen[#seen + 1] = pattern end
    end
    return seen
  end

  it("are known on the floor of the dialects alone", function()
    local found = {}
    for _, file in ipairs(C_FILES) do
      if not file:find("^src/dialect/") then
        for _, name in ipairs(names_in(file)) do
          if not (OTHER[file] or {})[name] then found[#found + 1] = file .. ": " .. name end
        end
      end
    end
    assert.same({}, found)
  end)

  it("are known there", function()
    local all = {}
    for _, file in ipairs(files "src/dialect/*.c") do
      for _, name in ipairs(names_in(file)) do all[name] = true end
    end
    for _, name in ipairs { "choices", "delta", "stream_options", "finish_reason",
      "chat%.completion", "/chat/completions", "%[DONE%]" } do
      assert.is_true(all[name], name)
    end
  end)
end)

describe("what a system has differently", function()
  local SYSTEM = { ["src/engine/os.h"] = true, ["src/engine/os_posix.c"] = true,
    ["src/engine/poller.c"] = true, ["src/engine/file.c"] = true,
    ["src/engine/sigpipe.h"] = true, ["src/engine/sigpipe.c"] = true }
  -- C11 has these, and everybody strings.h.
  local STANDARD = {}
  for name in ([[assert ctype errno float limits locale math setjmp signal stdarg stdbool
    stddef stdint stdio stdlib string strings time]]):gmatch "%w+" do
    STANDARD[name .. ".h"] = true
  end

  it("is asked for behind os.h alone", function()
    local found = {}
    for _, file in ipairs(C_FILES) do
      local code = code_of(file)
      for header in code:gmatch "#%s*include%s*<([^>]+)>" do
        local ours = header:find "^curl/" or header:find "^lua" or header == "lauxlib.h"
        if not (STANDARD[header] or ours or header:find "^emmintrin" or SYSTEM[file]) then
          found[#found + 1] = file .. ": <" .. header .. ">"
        end
      end
      for line in code:gmatch "#%s*[ie][fl][^\n]*" do
        for word in line:gmatch "[%w_]+" do
          if (word:find "^__%l+__$" or word:find "^__APPLE__$" or word:find "^_WIN32$")
            and not SYSTEM[file] and word ~= "__cplusplus" then
            found[#found + 1] = file .. ": " .. word
          end
        end
      end
    end
    assert.same({}, found)
  end)
end)

describe("shared.h", function()
  local function listed(which)
    local text = assert(support.read_file("src/binding/shared.h"))
    local set, n = {}, 0
    for name in text:match("#define " .. which .. ".-\n\n"):gmatch "X%(([%w_]+)," do
      assert.is_nil(set[name], name)
      set[name], n = true, n + 1
    end
    assert.is_true(n > 5)
    return set
  end
  local all = listed "SHARED_OF_BOT"
  local reply = listed "SHARED_OF_REPLY"
  for name in pairs(reply) do all[name] = true end

  -- Calls that take an environment and a name.
  local C = { "lua_[gs]etfield%(L, ([%w_>%-%.]+), \"([%w_]+)\"",
    "binding_own_table%(L, ([%w_]+), \"([%w_]+)\"", "own_table%(L, ([%w_]+), \"([%w_]+)\"",
    "answer_keep%(L, ([%w_]+), \"([%w_]+)\"", "set_escaped%(L, a, ([%w_]+), \"([%w_]+)\"",
    "options_get%(L, ([%w_]+), \"([%w_]+)\"", "copy_field%(L, ([%w_]+), \"([%w_]+)\"" }

  local function used()
    local names = {}
    for _, file in ipairs(C_FILES) do
      local code = code_of(file)
      for _, pattern in ipairs(C) do
        for index, name in code:gmatch(pattern) do
          if index:lower():find "env$" then names[name] = names[name] or file end
        end
      end
    end
    for _, file in ipairs(files "lua/chatbot/*.lua lua/chatbot/*/*.lua") do
      local code = code_of(file)
      for name in code:gmatch "%f[%w_]r?env%.([%w_]+)" do names[name] = names[name] or file end
      for name in code:gmatch "_env%(%)%.([%w_]+)" do names[name] = names[name] or file end
    end
    return names
  end

  it("has every field of an environment that is used", function()
    local missing, count = {}, 0
    for name, file in pairs(used()) do
      count = count + 1
      if not all[name] then missing[#missing + 1] = name .. " in " .. file end
    end
    assert.same({}, missing)
    assert.is_true(count > 40, count)
  end)

  it("has no other", function()
    local text = {}
    for _, file in ipairs(C_FILES) do
      if file ~= "src/binding/shared.h" then text[#text + 1] = code_of(file) end
    end
    for _, file in ipairs(files "lua/chatbot/*.lua lua/chatbot/*/*.lua") do
      text[#text + 1] = code_of(file)
    end
    text = table.concat(text, "\n")
    local idle = {}
    for name in pairs(all) do
      if not text:find('"' .. name .. '"', 1, true) and not text:find("env%." .. name .. "%f[^%w_]")
        and not text:find("_env%(%)%." .. name .. "%f[^%w_]") then
        idle[#idle + 1] = name
      end
    end
    assert.same({}, idle)
  end)
end)

describe("a C file", function()
  it("has at most 450 lines, or says why", function()
    local long = {}
    for _, file in ipairs(C_FILES) do
      local text = assert(support.read_file(file))
      local _, lines = text:gsub("\n", "")
      if lines > 450 and not text:match("^/%*.-%*/"):find("450%s+%*? ?lines") then
        long[#long + 1] = file .. ": " .. lines
      end
    end
    assert.same({}, long)
  end)
end)
