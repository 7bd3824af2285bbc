--- An answer that is cut behind any of its bytes: never taken for whole before its end, and
--- what has come of its text is told.

local bytes = require "spec.faults.bytes"

local close = { close = true }

local TEXT = { "He said ", "\"\195\188\" ", "\240\159\142\137." }

local function rows_of(b)
  local head, parts = b.head { "Connection", "close" }, { b.OPEN }
  for _, piece in ipairs(TEXT) do parts[#parts + 1] = b.event(piece) end
  local before_end = #table.concat(parts)
  local answer, enough = table.concat(parts) .. b.STOP .. b.DONE, before_end + b.enough

  -- Each part of the answer is cut by a scenario of its own: one for all would be slow.
  local rows = {}
  for first = 1, #answer - 1, 400 do
    local serve, last = {}, math.min(first + 399, #answer - 1)
    for at = first, last do
      serve[#serve + 1] = { head .. answer:sub(1, at), close }
    end
    rows[#rows + 1] = {
      name = ("FIN behind each of bytes %d to %d"):format(first, last), own = true,
      serve = serve, saw = { requests = #serve }, options = { max_retries = 0 },
      client = function(t)
        local whole, bad, count = table.concat(TEXT), {}, 0
        for at = first, last do
          local observed = t:talk(t:bot())
          local text = observed.partial or observed.text or ""
          local as_wanted = at >= enough and observed.verdict == "complete"
            and text == whole or at < enough and observed.kind == "truncated"
            and text == whole:sub(1, #text)
          if not as_wanted then
            bad[#bad + 1] = ("%d: %s '%s'"):format(at, observed.kind or observed.verdict, text)
          end
          count = count + 1
        end
        return { count = count, bad = table.concat(bad, "; ", 1, math.min(#bad, 5)) }
      end,
      expect = { count = last - first + 1, bad = "" },
    }
  end
  return rows
end

return bytes.each(rows_of)
