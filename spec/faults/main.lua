--- Prints a table of all fault scenarios: lua spec/faults/main.lua [GROUP [PATTERN]]
--
-- Run in the root of the project. Ends with a line "N passed, N failed" and fails when
-- a scenario did.

package.path = "./?.lua;./?/init.lua;" .. package.path

local run = require "spec.faults.run"
local support = require "spec.support"

local curl = assert(require("chatbot.core").curl_version())
local passed, failed, skipped = 0, 0, 0

local function print_result(group, result)
  local word = result.skipped and "skip" or result.ok and "ok" or "FAIL"
  print(("%-4s %-10s %s"):format(word, group, result.name))
  if result.skipped then
    print("       skipped   " .. result.skipped)
    skipped = skipped + 1
    return
  end
  print("       expected  " .. result.expected)
  print("       observed  " .. result.observed)
  for _, problem in ipairs(result.problems) do print("       PROBLEM   " .. problem) end
  if result.ok then passed = passed + 1 else failed = failed + 1 end
end

local started = support.now()
for _, group in ipairs(run.groups) do
  if not arg[1] or arg[1] == group then
    for _, result in ipairs(run.group(group, arg[2])) do
      if result.skipped ~= "not asked for" then print_result(group, result) end
    end
    io.stdout:flush()
  end
end
support.close_all()
if skipped > 0 then print(skipped .. " skipped") end
print(("%.1f s under %s, libcurl %s %s"):format(support.now() - started,
  support.interpreter(), curl.version, curl.ssl_version))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
