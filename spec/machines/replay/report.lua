--- What is printed of the cases: each difference at once, the counts and why some were left
-- out at the end.

local support = require "spec.support"

local report = { passed = 0, failed = 0, explained = 0, differences = 0 }

local skipped, reasons = {}, {} -- reason -> names; the reasons in their order
local explained = {} -- a list of {reason, n}; reason -> its place
local case -- the one under way: {name, differs}

local function show(value)
  value = type(value) == "table" and support.encode(value)
    or type(value) == "string" and ("%q"):format(value):gsub("\n", "n") or tostring(value)
  return #value > 400 and value:sub(1, 300) .. " ... " .. value:sub(-90) or value
end

--- Says that something is not as it should be.
function report.differ(what, wanted, got)
  case.differs = true
  report.differences = report.differences + 1
  print(("DIFFERS %s\n    %s\n    expected %s\n    observed %s"):format(case.name, what,
    show(wanted), show(got)))
end

--- Counts what differs and need not be the same, and says why.
function report.explain(reason)
  report.explained = report.explained + 1
  if not explained[reason] then
    explained[#explained + 1] = { reason, 0 }
    explained[reason] = #explained
  end
  local row = explained[explained[reason]]
  row[2] = row[2] + 1
end

--- Runs a case; it fails when something differs or an error is raised. True when it passed.
function report.case(name, run)
  case = { name = name }
  local ok, problem = xpcall(run, debug.traceback)
  if not ok then report.differ("an error was raised", "none", problem) end
  local result = case.differs and "failed" or "passed"
  report[result] = report[result] + 1
  return result == "passed"
end

--- Counts a case that is not run.
function report.skip(name, reason)
  if not skipped[reason] then
    skipped[reason] = {}
    reasons[#reasons + 1] = reason
  end
  table.insert(skipped[reason], name)
end

--- Prints the counts; true when there is nothing to complain about.
function report.finish()
  for _, row in ipairs(explained) do print(("explained %d: %s"):format(row[2], row[1])) end
  local n = 0
  for _, reason in ipairs(reasons) do
    n = n + #skipped[reason]
    print(("skipped %d: %s: %s"):format(#skipped[reason], reason,
      table.concat(skipped[reason], ", ")))
  end
  print(("%d passed, %d failed, %d skipped"):format(report.passed, report.failed, n))
  return report.failed == 0
end

return report
