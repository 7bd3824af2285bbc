--- Runs fault scenarios: servers here, clients in child processes.
--
-- A group is a module spec.faults.NAME that returns a list of scenarios:
--   name      what happens, in the present tense
--   api       the dialect that is spoken, default "chat"; see bytes.lua
--   serve     scripts of the server "main" (see spec/support/init.lua); serve_opts
--   servers   further ones: {name = {scripts, opts}}
--   options   of chatbot.new, or a function of (urls) that returns them; call: of stream
--   client    function(t) run by the child in place of a plain `stream` and `poll`, see
--             child.lua; what it returns is merged into what was observed
--   at_start  function(servers, extra), when all have their ports; finish(extra)
--   own       true: a child of its own, for what needs an engine, an environment (env: a
--             table, or a function of (urls, extra, key)) or another command (wrap:
--             words before Lua's, or sh text that ends in a semicolon; a function of (extra))
--   prepare   function() -> table, run here before the child; the child has it as t.extra
--   expect    what the client must observe: each field is compared; a list means one of
--             them, {min, max} under `between` a range, `message` is contained
--   saw       what "main" must have seen: requests, connections; default: one request
--   check     function(observed, servers, extra) -> nil or a problem, run here; a second
--             value that is true says that it is one of time
--   skip      a reason, or a function that returns one or nil
--
-- Every scenario has the same random API key, and after each one everything that the
-- child has written, and all that servers other than "main" have read, is searched for it.

local json = require "cjson"
local answers = require "spec.support.answers"
local support = require "spec.support"
local secret = require "spec.faults.secret"

local run = {}

run.groups = {
  "clocks", "connection", "cut", "framing", "body", "retry", "reuse", "limits", "cancel",
  "config", "tls", "proxy", "redact", "process", "nginx",
}

-- Seconds that an interpreter may be late which checks all that is done to it.
local SLACK = tonumber(os.getenv("SLACK")) or 0

local PARALLEL = 4 -- children at a time
local CHILD_LIFE = 40 + 100 * SLACK -- seconds

-- A machine that is busy with other things makes every clock look late. What is only out
-- of its range of time is run again by itself; a clock that is wrong stays wrong.
local TIMING_RUNS = 3


local root = support.absolute("."):gsub("/%.$", "")
local key = secret.new()


-- Servers ------------------------------------------------------------------

local function start_servers(scenario)
  local servers, urls = {}, {}
  if scenario.serve then
    servers.main = support.serve(scenario.serve, scenario.serve_opts)
  end
  for name, how in pairs(scenario.servers or {}) do
    servers[name] = support.serve(how[1], how[2])
  end
  for name, server in pairs(servers) do
    urls[name] = { url = server.url, origin = server.origin, port = tostring(server.port) }
  end
  return servers, urls
end


-- Children -----------------------------------------------------------------

local function clean_env(extra)
  local env = {
    LUA_PATH = root .. "/?.lua;" .. root .. "/?/init.lua;" .. package.path,
    LUA_CPATH = package.cpath, LUA_INIT = false, TEST_LUA = support.interpreter(),
  }
  support.unversioned(env)
  for _, name in ipairs { "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE", "OPENAI_API_KEY", "OPENAI_BASE_URL" } do
    env[name] = false
  end
  for name, value in pairs(extra or {}) do env[name] = value end
  return env
end

-- One child for these jobs (a job is a scenario that has its servers).
local function start_child(group, jobs)
  local dir = support.tmpdir()
  local input, env, wrap = { key = key, jobs = {}, ca_file = support.ca_file }, {}, ""
  for i, job in ipairs(jobs) do
    input.jobs[i] = { index = job.index, urls = job.urls, extra = job.extra }
    local more = job.scenario.env
    if type(more) == "function" then more = more(job.urls, job.extra, key) end
    for name, value in pairs(more or {}) do env[name] = value end
    wrap = job.scenario.wrap or wrap
    if type(wrap) == "function" then wrap = wrap(job.extra) end
  end
  env.HOME = env.HOME or dir .. "/work"
  env.TMPDIR = dir .. "/work"
  os.execute("mkdir " .. dir .. "/work")
  support.write_file(dir .. "/input", json.encode(input))
  local command = ("%s %s %s"):format(support.interpreter(),
    support.quote(root .. "/spec/faults/child.lua"), group)
  local started = support.now()
  if wrap:find(";$") then
    command = "sh -c " .. support.quote(wrap .. " exec " .. command)
  elseif wrap ~= "" then
    command = wrap .. " " .. command
  end
  return {
    jobs = jobs, dir = dir, started = started,
    process = support.spawn(command, {
      env = clean_env(env), cwd = dir .. "/work", stdin = dir .. "/input",
    }),
  }
end

local function new_files(dir)
  local pipe = io.popen("cd " .. dir .. "/work && find . -type f -newer ../input")
  local list = pipe:read("*a")
  pipe:close()
  return (list:gsub("%s+$", ""))
end

-- Waits for a child and gives each of its jobs what it has said of it.
local function end_child(child)
  local status = child.process:wait(CHILD_LIFE)
  local lived = support.now() - child.started -- right for a child that runs alone
  local out, err = child.process:output()
  local found = {}
  local rest = out:gsub("@@([^\n]*)\n", function(line)
    local observed = json.decode(line)
    found[observed.index] = observed
    if secret.find(key, line) then
      observed.leaks[#observed.leaks + 1] = "what the client observed"
    end
    return ""
  end)
  local trouble = {}
  if status ~= 0 then
    trouble[1] = "the child ended with " .. tostring(status or "a time-out") .. ": "
      .. err:sub(1, 400)
  end
  if secret.find(key, rest .. err) then trouble[#trouble + 1] = "the key was written" end
  local files = new_files(child.dir)
  if files ~= "" then trouble[#trouble + 1] = "files were made: " .. files end
  for _, job in ipairs(child.jobs) do
    job.observed = found[job.index] or { kind = "no report" }
    job.observed.output = rest .. err
    job.observed.exit, job.observed.lived = status, lived
    local allowed = job.scenario.exit
    for i, text in ipairs(trouble) do
      if not (i == 1 and allowed and status == allowed) then
        job.problems[#job.problems + 1] = text
      end
    end
  end
  child.process:close()
end


-- Judging ------------------------------------------------------------------

local function one_of(list, value)
  for _, item in ipairs(list) do
    if item == value then return true end
  end
  return false
end

local function show(value)
  if type(value) == "number" then return ("%.4g"):format(value) end
  if type(value) == "string" and #value > 40 then value = value:sub(1, 37) .. "..." end
  if type(value) == "table" then
    local out = {}
    for i, item in ipairs(value) do out[i] = show(item) end
    return table.concat(out, "|")
  end
  return (tostring(value):gsub("[%c]", " "))
end

local FIELDS = { "kind", "phase", "status", "verdict", "text", "partial", "attempts",
  "retryable", "retry_after" }

local function compare(expect, observed, problems)
  local function differ(name, wanted, got, whole)
    problems[#problems + 1] = ("%s: expected %s, observed %s"):format(
      name, show(wanted), whole and got or show(got))
  end
  for name, wanted in pairs(expect) do
    local got = observed[name]
    if name == "between" then
      for field, range in pairs(wanted) do
        local value = observed[field]
        if type(value) ~= "number" or value < range[1] or value > range[2] + SLACK then
          differ(field, ("%g..%g"):format(range[1], range[2]), value)
          problems.timing = (problems.timing or 0) + 1
        end
      end
    elseif name == "message" then
      if not (got and got:find(wanted, 1, true)) then
        problems[#problems + 1] = ("message: expected '%s' in '%s'"):format(
          wanted, tostring(got))
      end
    elseif type(wanted) == "table" then
      if not one_of(wanted, got) then differ(name, wanted, got) end
    elseif wanted ~= got and not (wanted == "" and got == nil)
      and not (wanted == true and type(got) == "string") then -- any text: see `check`
      differ(name, wanted, got)
    end
  end
  if expect.kind and expect.partial == nil and observed.partial ~= nil then
    differ("partial", nil, observed.partial)
  end
  if not expect.kind and observed.kind then
    differ("kind", "none", observed.kind .. " (" .. tostring(observed.message) .. ")", true)
  end
end

local function check_servers(job)
  local scenario, problems = job.scenario, job.problems
  local saw = scenario.saw or { requests = 1 }
  for name, server in pairs(job.servers) do
    local requests = server:requests()
    for _, request in ipairs(requests) do
      local usual = answers[scenario.api or "chat"].key
      local place = secret.in_request(key, request, usual)
      if place and (name ~= "main" or place ~= usual) then
        problems[#problems + 1] = "the key reached " .. name .. " in " .. place
      end
    end
    if name == "main" then
      local wanted = saw.requests
      if wanted and wanted ~= #requests then
        problems[#problems + 1] = ("requests: expected %d, the server saw %d"):format(
          wanted, #requests)
      end
      job.observed.requests = #requests
      if saw.connections then
        local n = #server:connections()
        job.observed.connections = n
        if n ~= saw.connections then
          problems[#problems + 1] = ("connections: expected %d, the server saw %d"):format(
            saw.connections, n)
        end
      end
    end
    for _, event in ipairs(server:events()) do
      if event.what == "server error" or event.what == "bad step"
        or event.what == "refused" then
        problems[#problems + 1] = event.what .. ": " .. tostring(event.message)
      end
    end
    server:refused() -- it has been told
  end
end

local function describe(values, order)
  local out = {}
  for _, name in ipairs(order) do
    if values[name] ~= nil then out[#out + 1] = name .. "=" .. show(values[name]) end
  end
  return table.concat(out, " ")
end

local function judge(job)
  local scenario = job.scenario
  if not job.observed.index then -- it has said nothing: one problem is enough
    for i = #job.problems, 2, -1 do job.problems[i] = nil end
    return { name = scenario.name, ok = false, expected = "", observed = "",
      problems = job.problems }
  end
  compare(scenario.expect or {}, job.observed, job.problems)
  for _, leak in ipairs(job.observed.leaks or {}) do
    job.problems[#job.problems + 1] = "the key is in " .. leak
  end
  check_servers(job)
  if scenario.check then
    local ok, problem, timing = pcall(scenario.check, job.observed, job.servers, job.extra)
    if problem then
      job.problems[#job.problems + 1] = (ok and "" or "check: ") .. tostring(problem)
      if timing then job.problems.timing = (job.problems.timing or 0) + 1 end
    end
  end
  for _, server in pairs(job.servers) do server:close() end
  if job.extra and job.extra.dir and secret.in_files(key, job.extra.dir) then
    job.problems[#job.problems + 1] = "the key is in a file of " .. job.extra.dir
  end
  if scenario.finish then scenario.finish(job.extra) end
  local expected = describe(scenario.expect or {}, FIELDS)
  for field, range in pairs((scenario.expect or {}).between or {}) do
    expected = expected .. (" %s=%g..%g"):format(field, range[1], range[2])
  end
  if scenario.saw then
    expected = expected .. " " .. describe(scenario.saw, { "requests", "connections" })
  end
  local order = { "took", "requests", "connections" }
  for field in pairs((scenario.expect or {}).between or {}) do order[#order + 1] = field end
  local shown = describe(job.observed, FIELDS) .. " " .. describe(job.observed, order)
  return {
    name = scenario.name, ok = #job.problems == 0, expected = expected, observed = shown,
    problems = job.problems,
  }
end


-- Groups -------------------------------------------------------------------

---@param name string
---@return table[] scenarios
function run.scenarios(name)
  return require("spec.faults." .. name)
end

-- PUC Lua 5.1 yields neither across pcall, with which the client would catch what is
-- raised, nor out of the iterator of a `for`.
local OLD = _VERSION == "Lua 5.1" and not jit

local function skipped(scenario)
  local expect = scenario.expect
  if OLD and (scenario.name:find("loop over chunks", 1, true)
    or type(expect) == "table" and expect.kind == "raised") then
    return "PUC Lua 5.1 cannot yield there"
  end
  if type(scenario.skip) == "function" then return scenario.skip() end
  return scenario.skip
end

local function prepare(scenario, index)
  local job = { scenario = scenario, index = index, problems = {} }
  if scenario.prepare then job.extra = scenario.prepare() end
  job.servers, job.urls = start_servers(scenario)
  if scenario.at_start then scenario.at_start(job.servers, job.extra) end
  return job
end

--- Runs all scenarios of a group, those without `own` side by side in one child.
---@param group string
---@param pattern? string only scenarios whose name has it
---@return table[] results {name, ok, expected, observed, problems, skipped}
function run.group(group, pattern)
  local results, batches, common = {}, {}, {}
  for i, scenario in ipairs(run.scenarios(group)) do
    if pattern and not scenario.name:find(pattern) then
      results[i] = { name = scenario.name, skipped = "not asked for" }
    elseif skipped(scenario) then
      results[i] = { name = scenario.name, skipped = skipped(scenario) }
    elseif scenario.own then
      batches[#batches + 1] = { { scenario, i } }
    else
      if #common == 0 then table.insert(batches, 1, common) end
      common[#common + 1] = { scenario, i }
    end
  end
  local running = {}
  local function end_first()
    local child = table.remove(running, 1)
    end_child(child)
    for _, job in ipairs(child.jobs) do results[job.index] = judge(job) end
  end
  for _, batch in ipairs(batches) do
    local jobs, alone = {}, false
    for k, item in ipairs(batch) do
      jobs[k] = prepare(item[1], item[2])
      alone = alone or item[1].alone
    end
    while #running >= (alone and 1 or PARALLEL) do end_first() end
    running[#running + 1] = start_child(group, jobs)
    if alone then end_first() end
  end
  while #running > 0 do end_first() end
  for i, scenario in ipairs(run.scenarios(group)) do
    for _ = 1, TIMING_RUNS - 1 do
      local problems = results[i].problems
      if not problems or #problems == 0 or problems.timing ~= #problems then break end
      local job = prepare(scenario, i)
      end_child(start_child(group, { job }))
      results[i] = judge(job)
    end
  end
  support.remove_all()
  return results
end

return run
