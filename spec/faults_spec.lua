-- Streams that break, clocks, limits, cancelling, secrets: one test for each scenario in
-- spec/faults, see spec/faults/run.lua. `make faults` prints them as a table.

local run = require "spec.faults.run"

for _, group in ipairs(run.groups) do
  describe("fault scenario, " .. group .. ":", function()
    local results
    lazy_setup(function() results = run.group(group) end)

    for i, scenario in ipairs(run.scenarios(group)) do
      it(scenario.name, function()
        local result = results[i]
        if result.skipped then
          pending(result.skipped)
          return
        end
        assert(result.ok, table.concat(result.problems, "\n"))
      end)
    end
  end)
end
