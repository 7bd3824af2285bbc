-- :Chatbot, :ChatbotStop and :ChatbotModel - a chat in a scratch buffer.
--
-- A plugin to use, and to read first if you write one: all of it is public
-- functions of the module and of Neovim. Nothing is loaded before the first
-- command. `vim.g.chatbot` has options for chatbot.new, all may be left out:
--
--   vim.g.chatbot = { model = "gemini-2.5-flash", system = "Be brief." }

if vim.g.loaded_chatbot then return end
vim.g.loaded_chatbot = true

local bot, reply, buffer
local model       -- as the user named it: a name, or a list of them
local served = {} -- base_url -> names of the models that the server has

local function warn(message)
  vim.notify("Chatbot: " .. tostring(message), vim.log.levels.WARN)
end

-- The bot, made when it is first needed. Attached, so that coroutines can wait.
-- Nil after a warning where it cannot be made.
local function get_bot()
  if bot then return bot end
  local options = vim.tbl_extend("force", { model = "gpt-4.1" }, vim.g.chatbot or {})
  local ok, made = pcall(function()
    local chatbot = require "chatbot"
    return require("chatbot.nvim").attach(chatbot.new(options))
  end)
  if not ok then return warn(("%s (see :checkhealth chatbot)"):format(made)) end
  bot, model = made, options.model
  return bot
end

-- Nil when it has been deleted: then it may be valid, but has lost text, options and keys.
local function get_buffer()
  return buffer and vim.api.nvim_buf_is_loaded(buffer) and buffer
end

-- Gives the buffer a name that no other has.
local function name_buffer()
  for i = 1, 99 do
    local name = i == 1 and "Chatbot" or ("Chatbot %d"):format(i)
    if pcall(vim.api.nvim_buf_set_name, buffer, name) then return end
  end
end

-- Shows the buffer in some window, and leaves the cursor where it is.
local function show()
  if not get_buffer() then
    if buffer and vim.api.nvim_buf_is_valid(buffer) then
      vim.api.nvim_buf_delete(buffer, { force = true }) -- it has the name
    end
    buffer = vim.api.nvim_create_buf(false, true)
    name_buffer()
    vim.bo[buffer].filetype = "markdown"
    vim.keymap.set("n", "<C-c>", "<Cmd>ChatbotStop<CR>", { buffer = buffer })
  end
  if #vim.fn.win_findbuf(buffer) == 0 then
    local here = vim.api.nvim_get_current_win()
    vim.cmd("botright split")
    vim.api.nvim_win_set_buf(0, buffer)
    vim.wo.wrap, vim.wo.linebreak = true, true
    vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(buffer), 0 })
    vim.api.nvim_set_current_win(here)
  end
end

-- Adds text at the end. A window whose cursor is in the last line stays there.
local function append(text)
  if not get_buffer() then return end
  local last = vim.api.nvim_buf_line_count(buffer)
  local at_end = vim.tbl_filter(function(window)
    return vim.api.nvim_win_get_cursor(window)[1] == last
  end, vim.fn.win_findbuf(buffer))
  local column = #vim.api.nvim_buf_get_lines(buffer, -2, -1, true)[1]
  local lines = vim.split(text, "\n", { plain = true })
  vim.api.nvim_buf_set_text(buffer, last - 1, column, last - 1, column, lines)
  for _, window in ipairs(at_end) do
    vim.api.nvim_win_set_cursor(window, { last - 1 + #lines, #lines[#lines] })
  end
end

local function ask(prompt)
  if not prompt or not prompt:find("%S") then return end
  if reply and not reply:is_closing() then
    return warn("the last answer is still under way: see :ChatbotStop")
  end
  local chat = get_bot()
  if not chat then return end
  show()
  append(("# You\n\n%s\n\n# %s\n\n"):format(vim.trim(prompt), chat:get_model()))
  reply = require("chatbot.nvim").stream(chat, prompt, {
    on_text = append,
    on_done = function() append("\n\n") end,
    on_error = function(err)
      append(("\n\n> %s\n\n"):format((tostring(err):gsub("%s+", " "))))
      if err.kind ~= "cancelled" then warn(err) end
    end,
  })
end

-- Asks the server which models it has, unless that is known, and does not wait.
local function fetch_models()
  local url = bot:get_provider().base_url
  if served[url] then return served[url] end
  served[url] = {}
  coroutine.wrap(function()
    served[url] = bot:models { timeout = 10, max_retries = 0 } -- nil: try again
  end)()
  return {}
end

-- For the name of a model: what the server has, and the other providers. A name
-- that does not say where it belongs gets its provider's name before it.
local function complete(lead)
  if not get_bot() then return {} end
  local names = vim.list_extend({}, type(model) == "table" and model or { model })
  local provider = bot:get_provider().name
  local given = provider == "openai" or (vim.g.chatbot or {}).base_url
  for _, name in ipairs(fetch_models()) do
    names[#names + 1] = given and name or provider .. ":" .. name
  end
  local known = require("chatbot.terminal.choice").default_models
  for _, row in ipairs(require("chatbot").providers()) do
    names[#names + 1] = row.name .. ":" .. (known[row.name] or "")
  end
  local seen = {}
  return vim.tbl_filter(function(name)
    local fits = not seen[name] and vim.startswith(name, lead)
    seen[name] = true
    return fits
  end, names)
end

vim.api.nvim_create_user_command("Chatbot", function(command)
  local prompt = command.args
  if command.range > 0 then
    local lines = vim.api.nvim_buf_get_lines(0, command.line1 - 1, command.line2, false)
    prompt = prompt .. "\n\n" .. table.concat(lines, "\n")
  elseif prompt == "" then
    return vim.ui.input({ prompt = "Chatbot: " }, ask)
  end
  ask(prompt)
end, { nargs = "*", range = true, desc = "Ask the chatbot, about the lines of a range" })

vim.api.nvim_create_user_command("ChatbotStop", function()
  if reply then reply:close() end
end, { desc = "Cancel the answer that is under way" })

vim.api.nvim_create_user_command("ChatbotModel", function(command)
  if not get_bot() then return end
  if command.args ~= "" then
    local ok, message = pcall(bot.set_model, bot, command.args)
    if not ok then return warn(message) end
    model = command.args
  end
  print(("%s, of %s"):format(bot:get_model(), bot:get_provider().name))
end, { nargs = "?", complete = complete, desc = "Talk to another model, or show which" })
