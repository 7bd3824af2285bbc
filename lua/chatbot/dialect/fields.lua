-- dialect/fields.lua - what dialects have in common when the fields of a call, which are
-- those of chat completions, become the fields of their body.

local core = require "chatbot.core"

local M = {}

---A copy of a table, not of what is in it.
function M.copy(t)
  local out = {}
  for k, v in pairs(t or {}) do out[k] = v end
  return out
end

---What a dialect's `fields` works on: `call`, which it changes, `route`, and what it says of
---that: refuse(text) ends it with an error of the kind `config`, tell(name, what) is for
---reply.adjusted, and lack(name) leaves out a field that the dialect does not have.
---`temperature` is that of the bot, which is sent where the call has none.
---@param plan table `strict`: nothing is left out
function M.context(call, route, plan, tell, temperature)
  local self = { call = call, route = route, plan = plan, tell = tell, temperature = temperature }
  function self.refuse(text)
    error({ config = text }, 0)
  end
  function self.lack(name, why)
    local own = call[name]
    if own == nil and name == "temperature" then own = temperature end
    if own == nil or own == false and name ~= "reasoning" then -- as good as none
      call[name] = nil
      return
    end
    if plan.strict then
      self.refuse(("'%s' %s (api = \"%s\")"):format(name, why or "is no field there", route.api))
    end
    call[name] = nil
    tell(name, "dropped")
  end
  return self
end

---Moves a field to another name, unless that is there.
function M.rename(call, from, to)
  if call[to] == nil then call[to] = call[from] end
  call[from] = nil
end

---A schema in the form of chat completions, however it is asked for: name, schema, strict,
---description; or nil and the word for another format.
---@return table? format
---@return string? kind
function M.schema_of(format)
  if type(format) ~= "table" then return nil, nil end
  if format.type ~= "json_schema" then return nil, format.type end
  local inner = type(format.json_schema) == "table" and format.json_schema or format
  return { name = inner.name or "answer", schema = inner.schema, strict = inner.strict,
    description = inner.description }
end

---The tool that a tool_choice names, and the word that it is otherwise.
---@return string? name
---@return any word
function M.choice_of(choice)
  if type(choice) ~= "table" then return nil, choice end
  local fn = choice["function"]
  return type(fn) == "table" and fn.name or choice.type == "function" and choice.name or nil, nil
end

---Makes the list call[name] one with this value behind the others.
function M.append(call, name, value)
  local list = core.array {}
  for i, other in ipairs(call[name] or {}) do list[i] = other end
  list[#list + 1] = value
  call[name] = list
end

---Adds the tool that searches the web, with what the option `search` says of it, where a
---service is known to have it or its address is not known.
---@param self table a context
---@param tool table
function M.add_search(self, tool)
  local call, value = self.call, self.call.search
  call.search = nil
  if not value then return end
  if core.rule(self.route, "search") == nil and self.route.home then
    self.refuse(("'%s' has no search of the web"):format(self.route.provider))
  end
  for name, field in pairs(type(value) == "table" and value or {}) do tool[name] = field end
  M.append(call, "tools", tool)
end

---Makes the tools of a call those of the dialect: `flat` gets a copy of each function with
---all that is said of it in one table, and what was said of its form; `own` what is the
---service's own, if it is given.
---@param flat fun(tool: table): table
---@param own? fun(tool: table): table
function M.fit_tools(call, flat, own)
  if not call.tools then return end
  local list = core.array {}
  for i, tool in ipairs(call.tools) do
    local fn = tool.type == "function" and tool["function"]
    if type(fn) == "table" then
      local out = M.copy(tool)
      out["function"] = nil
      for name, value in pairs(fn) do out[name] = value end
      list[i] = flat(out)
    else
      list[i] = own and own(tool) or tool
    end
  end
  call.tools = list
end

-- What a message of text has; nothing else may stand beside it elsewhere.
local PLAIN = { role = true, content = true }

---Whether a message is a text with a role and nothing else, so that it may be sent as it is.
function M.is_plain(message)
  for name in next, message do
    if not PLAIN[name] then return false end
  end
  return type(message.content) == "string"
end

---The texts of a list of parts, or the text that it is.
function M.text_of(content)
  if type(content) ~= "table" then return content end
  local texts = {}
  for _, part in ipairs(content) do
    local text = type(part) == "table" and part.text or part
    if type(text) == "string" then texts[#texts + 1] = text end
  end
  return table.concat(texts)
end

---The address of a part that is an image, and how closely it is to be looked at.
---@return string url
---@return string? detail
function M.image_of(part)
  local image = part.image_url
  if type(image) == "table" then return image.url, image.detail end
  return image, nil
end

---Appends an answer to a list: what its service has made of it, or else its text and its calls
---in the dialect's form.
---@param text_of fun(text: string): table
---@param call_of fun(id: string, name: string, arguments: string): table
function M.add_answer(list, message, text_of, call_of)
  if message.native then
    for _, item in ipairs(message.native) do list[#list + 1] = core.raw(item) end
    return
  end
  local text = M.text_of(message.content)
  if type(text) == "string" and text:find("%S") then list[#list + 1] = text_of(text) end
  for _, call in ipairs(message.tool_calls or {}) do
    local fn = call["function"]
    list[#list + 1] = fn and call_of(call.id, fn.name, fn.arguments) or call
  end
end

---What a message adds to the hash of all that was sent before it.
function M.chain(before, message)
  return core.hash(before, message.role, message.content, message.tool_calls)
end

---The texts of the system at the head of a conversation with the note behind them, or nil.
---@return string? text
---@return integer first the message behind them
function M.head(messages, note)
  local texts, first = {}, 1
  while messages[first] and messages[first].role == "system" do
    local text = M.text_of(messages[first].content)
    if type(text) == "string" and text:find("%S") then texts[#texts + 1] = text end
    first = first + 1
  end
  texts[#texts + 1] = note
  return texts[1] and table.concat(texts, "\n\n") or nil, first
end

core.ours()

return M
