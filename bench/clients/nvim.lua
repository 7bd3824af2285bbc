-- nvim.lua - the bench's client for Neovim with curl as a child process, as chat
-- plugins do it: `nvim --headless -l` in spirit, run with -c "luafile".
--
--   BENCH_URL, BENCH_STREAMS in the environment

local common = require "common"
local uv = vim.uv or vim.loop
local url, streams = vim.env.BENCH_URL, tonumber(vim.env.BENCH_STREAMS)
local paced = not url:find("%-0%-%d+/")
local body = vim.json and vim.json.encode or vim.fn.json_encode
body = body { model = "m", stream = true,
  messages = { { role = "user", content = "Hello" } } }

local running = streams

local function start()
  local out, buffer, parts, mine, child = uv.new_pipe(false), "", {}, {}, nil
  child = assert(uv.spawn("curl", {
    args = { "-sN", url .. "/chat/completions", "-H", "Content-Type: application/json",
      "-d", body, "--noproxy", "*" },
    stdio = { nil, out, nil },
  }, function() child:close() end))
  out:read_start(function(err, data)
    assert(not err, err)
    if not data then
      out:close()
      assert(#table.concat(parts) > 0)
      running = running - 1
      return
    end
    buffer = buffer .. data
    local at = 1
    while true do
      local stop = buffer:find("\n", at, true)
      if not stop then break end
      local json = buffer:sub(at, stop - 1):match("^data: ?(.*)")
      if json and json ~= "[DONE]" then
        local choice = vim.json.decode(json).choices[1]
        local text = choice and choice.delta.content
        if text and text ~= vim.NIL then
          parts[#parts + 1] = text
          if paced then common.take(mine, text) else common.count(text) end
        end
      end
      at = stop + 1
    end
    buffer = buffer:sub(at)
  end)
end

local ok, message = pcall(function()
  for _ = 1, streams do start() end
  vim.wait(60000, function() return running == 0 end, 1)
  common.report()
end)
io.stdout:write(ok and "" or tostring(message), "\n")
vim.cmd "qall!"
