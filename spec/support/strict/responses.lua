--- What the strictest service would refuse of a request for a response.
--
-- Each rule names where it is from: OpenAI's openapi.yaml, its SDK (openai-python,
-- types/responses), its answers (recorded or quoted by others), or who else has it. A
-- request that keeps them all is taken by all; what is another service's alone stands in
-- `responses.services`.

local root = (...):match("^(.-)strict%.")
local rules = require(root .. "strict.rules")

local responses = {}

local given, refuse, set = rules.given, rules.refuse, rules.set
local is_list, is_object = rules.is_list, rules.is_object

-- key           a Bearer token must be there
-- stateless     why there is no previous_response_id
-- content       a reasoning item must have its text in `content`
-- typed         an assistant message must have its type, and parts
-- only          the types of items that it knows
-- apart         calls of one turn with text in between are refused
-- open          foreign ids and models of any name are taken
responses.services = {
  strictest = {},
  openai = { key = true },
  -- llama.cpp tools/server/server-chat.cpp
  llamaserver = {
    stateless = true, content = true, typed = true, open = true,
    only = set "message function_call function_call_output reasoning",
  },
  -- its answer "No tool output found for tool call"
  deepseek = { apart = true, open = true },
  openrouter = { stateless = true, open = true }, -- its documentation: stateless
  xai = { open = true },
}


-- Content --------------------------------------------------------------------------

local function image(part, where)
  local url = given(part.image_url)
  -- openapi.yaml InputImageContent: a plain string, no object as in chat completions
  if url == nil then return rules.some_text(part.file_id, where .. ".file_id") end
  rules.some_text(url, where .. ".image_url")
  if not url:find("^https?://") and not url:find("^data:image/[%w.+-]+;base64,[%w+/]+=*$") then
    refuse(where .. ".image_url", "neither a URL nor a data URL of an image")
  end
end

local function file(part, where)
  -- its answer "Expected a base64-encoded data URL with a valid file MIME type"
  if given(part.file_data) ~= nil then
    rules.some_text(part.filename, where .. ".filename")
    if not tostring(part.file_data):find("^data:[%w.+-]+/[%w.+-]+;base64,[%w+/]+=*$") then
      refuse(where .. ".file_data", "no data URL in base64")
    end
  elseif given(part.file_url) == nil and given(part.file_id) == nil then
    refuse(where, "neither file_data, file_url nor file_id")
  end
end

local ANNOTATIONS = set "url_citation file_citation container_file_citation file_path"

-- CHANGELOG of ug-lua-llm 0.4: `{}` for `[]` is refused, "expected an array of objects"
local function annotations(list, where)
  rules.list(list, where)
  for i, one in ipairs(list) do
    local at = ("%s[%d]"):format(where, i)
    rules.object(one, at)
    rules.one_of(one.type, at .. ".type", ANNOTATIONS)
  end
end

-- Part type -> its fields. openapi.yaml Input*Content, OutputTextContent, RefusalContent.
local PARTS = {
  input_text = { type = true, text = rules.text },
  input_image = { type = true, image_url = true, file_id = rules.text,
    detail = rules.words "auto low high original" },
  input_file = { type = true, filename = rules.text, file_data = rules.text,
    file_url = rules.text, file_id = rules.text, detail = true },
  input_audio = { type = true, input_audio = rules.object },
  output_text = { type = true, text = rules.text, annotations = annotations,
    logprobs = rules.list },
  refusal = { type = true, refusal = rules.text },
}
local WHOLE = { input_image = image, input_file = file }
local TEXT = { input_text = "text", output_text = "text", refusal = "refusal" }

-- Role -> its parts: SDK EasyInputMessage, ResponseOutputMessage; rust-genai pull 119:
-- input_text of an assistant is 400, and output_text of a user, too.
local ROLE_PARTS = {
  user = set "input_text input_image input_file input_audio",
  system = set "input_text", developer = set "input_text",
  assistant = set "output_text refusal",
}

local function parts(list, where, allowed)
  for i, part in ipairs(list) do
    local at = ("%s[%d]"):format(where, i)
    rules.object(part, at)
    rules.one_of(part.type, at .. ".type", allowed)
    rules.fields(part, at, PARTS[part.type])
    local text = TEXT[part.type]
    if text and given(part[text]) == nil then refuse(at, "no %s", text) end
    if WHOLE[part.type] then WHOLE[part.type](part, at) end
  end
end

local function content_text(content)
  if type(content) == "string" then return content end
  local out = {}
  for i, part in ipairs(content) do out[i] = part.text or part.refusal or "" end
  return table.concat(out)
end


-- Items: what was issued -------------------------------------------------------------

-- The entry of what this server has issued of which a version has this field so.
local function find_issued(state, name, value)
  if not state.issued or value == nil then return nil end
  for answer in state.issued:each("responses") do
    for _, entry in pairs(answer.items) do
      for _, version in ipairs(entry.versions) do
        if version[name] == value then return entry, answer end
      end
    end
  end
end

-- An id that this server has not given is another's, or made up.
local function own_id(item, where, state)
  local id = given(item.id)
  if id == nil then return nil end
  rules.some_text(id, where .. ".id")
  -- openapi.yaml: ids of items have at most 64 characters
  if #id > 64 then refuse(where .. ".id", "'%s' has more than 64 characters", id) end
  if state.item_ids[id] then refuse(where .. ".id", "'%s' twice", id) end
  state.item_ids[id] = true
  if not state.issued or state.service.open then return nil end
  local entry, answer = find_issued(state, "id", id)
  if not entry then refuse(where .. ".id", "'%s' is not an item of this server", id) end
  return entry, answer
end

local SENT_BACK = { id = true, status = true }

-- All of an item but its id and status is as one of the versions that were issued. Services
-- take some changes, recordings show; that there are none is a promise of ours.
local function unchanged(item, entry, where, names)
  for _, version in ipairs(entry.versions) do
    local same = true
    for name, value in pairs(item) do
      if not SENT_BACK[name] and (not names or names[name])
        and not rules.same(value, version[name]) then
        same = false
      end
    end
    if same then return end
  end
  refuse(where, "not as it was issued")
end


-- Items ------------------------------------------------------------------------------

-- its answers "Expected an ID that begins with 'msg'", 'fc', 'rs'
local function begins(item, where, state, prefix)
  local id = given(item.id)
  if id ~= nil and not state.service.open and tostring(id):sub(1, #prefix) ~= prefix then
    refuse(where .. ".id", "'%s' does not begin with '%s'", tostring(id), prefix)
  end
end

local check_item = {}

local MESSAGE = { type = true, role = true, content = true, id = true, phase = true,
  status = rules.words "in_progress completed incomplete" }

function check_item.message(item, where, state)
  local allowed = ROLE_PARTS[item.role] -- openapi.yaml EasyInputMessage: four roles
  if not allowed then refuse(where, "the role %s is unknown", tostring(item.role)) end
  rules.fields(item, where, MESSAGE)
  begins(item, where, state, "msg")
  if is_list(item.content) then
    if #item.content == 0 then refuse(where, "no content") end
    parts(item.content, where .. ".content", allowed)
  elseif type(item.content) ~= "string" then
    refuse(where, "the content is neither text nor a list of parts")
  end
  if item.role ~= "assistant" then return end
  -- that an answer has text is every dialect's rule
  if not content_text(item.content):find("%S") then
    refuse(where, "an assistant message without text")
  end
  -- llama.cpp server-chat.cpp: "Cannot determine type of 'item'"
  if state.service.typed and (item.type ~= "message" or not is_list(item.content)) then
    refuse(where, "an assistant message without its type, or without parts")
  end
  local entry = own_id(item, where, state)
  if not entry then return end
  for _, version in ipairs(entry.versions) do
    if content_text(version.content) == content_text(item.content)
      and (given(item.phase) == nil or version.phase == item.phase) then
      return
    end
  end
  refuse(where, "not as it was issued")
end

local CALL_FIELDS = set "type id call_id name arguments status namespace"

function check_item.function_call(item, where, state)
  -- SDK ResponseFunctionToolCallParam; created_by is not to be sent back
  rules.no_other_fields(item, where, CALL_FIELDS)
  rules.new_id(item.call_id, where, state.call_ids, 64) -- openapi.yaml: maxLength 64
  rules.name(item.name, where)
  rules.arguments(item.arguments, where)
  begins(item, where, state, "fc")
  local entry = own_id(item, where, state)
  if entry then unchanged(item, entry, where, set "call_id name") end
  state.open[item.call_id] = "function_call_output"
end

function check_item.custom_tool_call(item, where, state)
  rules.no_other_fields(item, where, set "type id call_id name input status namespace")
  rules.new_id(item.call_id, where, state.call_ids, 64)
  rules.text(item.input, where .. ".input")
  own_id(item, where, state)
  state.open[item.call_id] = "custom_tool_call_output"
end

local OUTPUT_FIELDS = set "type id call_id output status"

-- its answers "No tool output found for function call", "No tool call found for function
-- call output"
local function check_output(item, where, state)
  rules.no_other_fields(item, where, OUTPUT_FIELDS)
  local id = item.call_id
  local chained = state.chained and not state.call_ids[tostring(id)]
  if type(id) ~= "string" or state.open[id] ~= item.type and not chained then
    refuse(where, "an output without a call before it: '%s'", tostring(id))
  end
  state.call_ids[id], state.open[id] = true, nil
  if is_list(item.output) then
    if #item.output == 0 then refuse(where, "no output") end
    parts(item.output, where .. ".output", ROLE_PARTS.user)
  else
    rules.text(item.output, where .. ".output")
  end
end
check_item.function_call_output = check_output
check_item.custom_tool_call_output = check_output

local function part_list(kind)
  return function(list, where)
    rules.list(list, where)
    for i, part in ipairs(list) do
      local at = ("%s[%d]"):format(where, i)
      rules.fields(part, at, { type = true, text = rules.text })
      if part.type ~= kind or given(part.text) == nil then refuse(at, "no %s", kind) end
    end
  end
end

local REASONING = { type = true, id = rules.text, encrypted_content = rules.text,
  summary = part_list "summary_text", content = part_list "reasoning_text",
  status = rules.words "in_progress completed incomplete" }

local function check_stored(item, where, state, answer)
  if state.store == false then
    -- "Items are not persisted when `store` is set to false"
    refuse(where, "no encrypted_content, and nothing is stored")
  end
  if given(item.id) == nil then refuse(where, "neither an id nor encrypted_content") end
  if answer and not answer.stored then refuse(where, "was not stored") end
end

function check_item.reasoning(item, where, state)
  rules.fields(item, where, REASONING)
  if not is_list(item.summary) then refuse(where, "summary must be a list") end -- required
  begins(item, where, state, "rs")
  local text = is_list(item.content) and item.content[1]
  if state.service.content then
    -- llama.cpp server-chat.cpp: "item['content'] is not an array", "is empty"
    if not text then refuse(where, "no content") end
  elseif text and not state.service.open then
    -- its answer "array too long. Expected an array with maximum length 0"
    refuse(where, "the content of OpenAI's reasoning is empty")
  end
  local secret = given(item.encrypted_content)
  local entry, answer = own_id(item, where, state)
  if not entry and secret and state.issued and not state.service.open then
    entry, answer = find_issued(state, "encrypted_content", secret)
    if not entry then refuse(where, "the encrypted_content is not of this server") end
  end
  if entry then unchanged(item, entry, where) end
  if state.service.content then
    state.reasoning = { where = where }
    return
  end
  if not secret or secret == "" then check_stored(item, where, state, answer) end
  state.reasoning = { where = where, next = entry and entry.next }
end

function check_item.item_reference(item, where, state)
  rules.no_other_fields(item, where, set "type id")
  if state.store == false then refuse(where, "nothing is stored") end
  own_id(item, where, state)
end

-- SDK response_input_item_param: what else there is. They come back as they came.
local HOSTED = set [[web_search_call file_search_call code_interpreter_call computer_call
  image_generation_call local_shell_call shell_call apply_patch_call mcp_list_tools mcp_call
  mcp_approval_request tool_search_call tool_search_output compaction]]
local ANSWERS = set [[computer_call_output local_shell_call_output shell_call_output
  apply_patch_call_output mcp_approval_response]]

local function check_hosted(item, where, state)
  local entry = own_id(item, where, state)
  if given(item.created_by) ~= nil then refuse(where, "the field 'created_by' is unknown") end
  if entry then unchanged(item, entry, where) end
end

-- its answer "was provided without its required following item"
local function check_follower(item, kind, where, state)
  local reasoning = state.reasoning
  state.reasoning = nil
  if not reasoning then return end
  if kind == "message" and item.role ~= "assistant" or kind:find("_output$")
    or kind == "item_reference" then
    refuse(reasoning.where, "without the message or call that it led to")
  end
  local wanted = reasoning.next
  if not wanted then return end
  local same = wanted.type == kind
  if kind == "function_call" then same = same and wanted.call_id == item.call_id end
  if kind == "message" then
    same = same and content_text(wanted.content) == content_text(item.content)
  end
  if not same then refuse(where, "is not what the reasoning before it led to") end
end

local function each_item(item, where, state)
  rules.object(item, where)
  local kind = given(item.type) or item.role and "message" or nil
  if type(kind) ~= "string" then refuse(where, "an item without a type") end
  if state.service.only and not state.service.only[kind] then
    refuse(where, "the type '%s' is unknown", kind)
  end
  local answering = kind:find("_output$") ~= nil
  if not answering and state.answering and next(state.open) then
    refuse(where, "the call '%s' has no output before it", (next(state.open)))
  end
  if kind == "message" and next(state.open)
    and (item.role ~= "assistant" or state.service.apart) then
    refuse(where, "the call '%s' has no output before it", (next(state.open)))
  end
  state.answering = answering
  check_follower(item, kind, where, state)
  if check_item[kind] then
    check_item[kind](item, where, state)
  elseif HOSTED[kind] then
    check_hosted(item, where, state)
  elseif not ANSWERS[kind] then
    refuse(where, "the type '%s' is unknown", kind)
  end
end

local function check_input(input, state)
  if type(input) == "string" then return rules.some_text(input, "input") end
  if not is_list(input) or #input == 0 then
    refuse("input", "must be a text, or a list with an item in it")
  end
  for i, item in ipairs(input) do each_item(item, ("input[%d]"):format(i), state) end
  if state.reasoning then
    refuse(state.reasoning.where, "without the message or call that it led to")
  end
  if next(state.open) then
    refuse("input", "the call '%s' has no output", (next(state.open)))
  end
end


-- Tools and formats --------------------------------------------------------------------

-- its answers "'additionalProperties' is required to be supplied and to be false",
-- "'required' is required to be supplied and to be an array including every key"
local function strictly(schema, where)
  rules.closed(schema, where)
  local listed = {}
  for _, name in ipairs(is_list(schema.required) and schema.required or {}) do
    listed[name] = true
  end
  for name in pairs(is_object(schema.properties) and schema.properties or {}) do
    if not listed[name] then refuse(where .. ".required", "'%s' is missing", name) end
  end
end

local function check_schema(schema, where, strict)
  rules.object(schema, where)
  rules.schema(schema, where, strict == true and strictly or nil)
end

-- openapi.yaml FunctionTool: flat
local FUNCTION = { type = true, name = rules.name, description = rules.text,
  parameters = function(schema, where, tool)
    check_schema(schema, where, tool.strict)
    if schema.type ~= "object" then refuse(where, "its type must be 'object'") end
  end, strict = rules.boolean, defer_loading = rules.boolean, allowed_callers = rules.list }

-- openapi.yaml Tool
local HOSTED_TOOLS = set [[web_search web_search_2025_08_26 web_search_preview
  web_search_preview_2025_03_11 file_search code_interpreter image_generation mcp custom
  shell apply_patch tool_search computer computer_use_preview local_shell namespace x_search]]

local function check_tools(tools, names)
  rules.list(tools, "tools")
  -- its answer "array too long. Expected an array with maximum length 128"
  if #tools > 128 then refuse("tools", "more than 128") end
  for i, tool in ipairs(tools) do
    local where = ("tools[%d]"):format(i)
    rules.object(tool, where)
    if tool.type == "function" then
      rules.name(tool.name, where) -- required
      rules.fields(tool, where, FUNCTION)
      names[tool.name] = true
    elseif not HOSTED_TOOLS[tool.type] then
      refuse(where, "the type %s is unknown", tostring(tool.type))
    elseif tool.name then
      names[tool.name] = true
    end
  end
end

local CHOICES = set "none auto required"
local CHOICE_FIELDS = {
  ["function"] = set "type name", custom = set "type name",
  mcp = set "type server_label name", allowed_tools = set "type mode tools",
}

-- openapi.yaml ToolChoiceParam: the name is not nested
local function check_choice(choice, names, tools)
  local where = "tool_choice"
  if type(choice) == "string" then
    rules.one_of(choice, where, CHOICES)
    -- its answer "Tool choice 'required' must be specified with 'tools' parameter"
    if choice == "required" and not tools then refuse(where, "without tools") end
    return
  end
  rules.object(choice, where)
  if not CHOICE_FIELDS[choice.type] and not HOSTED_TOOLS[choice.type] then
    refuse(where, "the type %s is unknown", tostring(choice.type))
  end
  rules.no_other_fields(choice, where, CHOICE_FIELDS[choice.type] or set "type")
  -- its answer "Tool choice 'function' not found in 'tools' parameter"
  if choice.type == "function" and not names[choice.name] then
    refuse(where, "no tool '%s'", tostring(choice.name))
  end
end

-- openapi.yaml TextResponseFormatConfiguration: flat
local FORMATS = {
  text = { type = true }, json_object = { type = true },
  json_schema = { type = true, name = rules.name, description = rules.text,
    strict = rules.boolean, schema = function(schema, where, format)
      check_schema(schema, where, format.strict)
    end },
}

local function check_format(format, where)
  rules.object(format, where)
  local fields = FORMATS[format.type]
  if not fields then refuse(where, "the type %s is unknown", tostring(format.type)) end
  rules.fields(format, where, fields)
  if format.type == "json_schema" then
    rules.name(format.name, where) -- required, both
    rules.object(format.schema, where .. ".schema")
  end
end

-- The version of a model that reasons; nil for all others.
local function reasons(model)
  if model:find("^o%d") then return 0 end
  if model:find("^gpt%-5.*chat") then return nil end
  local version = model:match("^gpt%-(5[%d.]*)")
  return version and tonumber(version)
end

local EFFORTS = rules.words "none minimal low medium high xhigh max"

-- its answers "'minimal' is not supported with the 'o4-mini' model", "'none' ..."
local function check_effort(effort, version)
  local where = "reasoning.effort"
  local allowed = version == 0 and set "low medium high" or version == 5
    and set "minimal low medium high" or set "none low medium high xhigh max"
  if not allowed[effort] then refuse(where, "'%s' is not of this model", effort) end
end

local function check_model(body)
  local version = reasons(body.model)
  local effort = is_object(body.reasoning) and given(body.reasoning.effort) or nil
  if version then
    if effort then check_effort(effort, version) end
    -- its answer "'temperature' is not supported with this model"; effort `none` takes it
    for _, name in ipairs { "temperature", "top_p" } do
      if given(body[name]) ~= nil and effort ~= "none" then
        refuse(name, "is not supported with this model")
      end
    end
  elseif effort and body.model:find("^gpt%-") then
    -- its answer "'reasoning.effort' is not supported with this model"
    refuse("reasoning.effort", "is not supported with this model")
  end
end


-- The body -----------------------------------------------------------------------------

local INCLUDE = set [[reasoning.encrypted_content message.output_text.logprobs
  web_search_call.action.sources web_search_call.results file_search_call.results
  code_interpreter_call.outputs message.input_image.image_url
  computer_call_output.output.image_url]] -- openapi.yaml IncludeEnum

local function words_of(allowed)
  return function(list, where)
    rules.list(list, where)
    for i, word in ipairs(list) do rules.one_of(word, ("%s[%d]"):format(where, i), allowed) end
  end
end

local function check_metadata(map, where)
  rules.object(map, where)
  local count = 0
  for name, value in pairs(map) do
    count = count + 1
    rules.text(value, where .. "." .. name)
  end
  if count > 16 then refuse(where, "has more than 16 fields") end -- openapi.yaml Metadata
end

local function objects_with(fields)
  return function(value, where) rules.fields(value, where, fields) end
end

-- openapi.yaml CreateResponse. Not there, and so 400 "Unknown parameter": messages, n,
-- stop, seed, logit_bias, penalties, logprobs, response_format, functions, max_tokens.
local FIELDS = {
  model = rules.some_text, input = true, instructions = rules.text, stream = rules.boolean,
  -- openapi.yaml: no include_usage here
  stream_options = objects_with { include_obfuscation = rules.boolean },
  store = rules.boolean, previous_response_id = rules.some_text, conversation = true,
  include = words_of(INCLUDE), max_output_tokens = rules.range(1, 2 ^ 31, true),
  temperature = rules.range(0, 2), top_p = rules.range(0, 1),
  reasoning = objects_with { effort = EFFORTS, context = rules.text, mode = rules.text,
    summary = rules.words "auto concise detailed",
    generate_summary = rules.words "auto concise detailed" },
  text = objects_with { format = check_format, verbosity = rules.words "low medium high" },
  tools = true, tool_choice = true, parallel_tool_calls = rules.boolean,
  max_tool_calls = rules.range(1, 2 ^ 31, true),
  truncation = rules.words "auto disabled", top_logprobs = rules.range(0, 20, true),
  metadata = check_metadata, service_tier = rules.text, prompt_cache_key = rules.text,
  prompt_cache_options = rules.object, prompt_cache_retention = rules.text,
  safety_identifier = rules.text, background = rules.boolean,
  context_management = rules.list, moderation = true, prompt = rules.object,
  user = rules.text,
}

local function check_chain(body, state)
  local id = given(body.previous_response_id)
  state.chained = id ~= nil or given(body.conversation) ~= nil
  if id == nil then return end
  -- llama.cpp: "does not support 'previous_response_id'"; OpenRouter: stateless
  if state.service.stateless then refuse("previous_response_id", "is not supported") end
  -- openapi.yaml: not together
  if given(body.conversation) ~= nil then
    refuse("previous_response_id", "together with a conversation")
  end
  if not state.issued then return end
  for answer in state.issued:each("responses") do
    if answer.id == id then
      if not answer.stored then refuse("previous_response_id", "was not stored") end
      return
    end
  end
  -- its answer previous_response_not_found
  refuse("previous_response_id", "'%s' not found", tostring(id))
end

--- Raises what is wrong with a body.
---@param body any decoded
---@param service table one of responses.services
---@param issued? table what the server has given, see issued.lua
function responses.check(body, service, issued)
  rules.fields(body, "", FIELDS)
  if not service.open or given(body.model) ~= nil then rules.some_text(body.model, "model") end
  local state = { service = service, issued = issued, store = body.store, item_ids = {},
    call_ids = {}, open = {} }
  check_chain(body, state)
  check_input(body.input, state)
  local names, tools = {}, given(body.tools)
  if tools ~= nil then check_tools(tools, names) end
  if given(body.tool_choice) ~= nil then
    check_choice(body.tool_choice, names, tools and #tools > 0)
  end
  if not service.open then check_model(body) end
  -- SDK: stream_options "only when you set stream: true"
  if given(body.stream_options) ~= nil and body.stream ~= true then
    refuse("stream_options", "without stream")
  end
  if given(body.top_logprobs) ~= nil then -- openapi.yaml: needs the include
    local asked = false
    for _, word in ipairs(given(body.include) or {}) do
      asked = asked or word == "message.output_text.logprobs"
    end
    if not asked then refuse("top_logprobs", "without its include") end
  end
end

--- Raises what is wrong with the header.
---@param named table<string, string>
---@param service table
function responses.check_header(named, service)
  if service.key and not tostring(named.authorization):find("^Bearer %S+$") then
    refuse("header", "no Bearer token") -- its answer 401
  end
end

return responses
