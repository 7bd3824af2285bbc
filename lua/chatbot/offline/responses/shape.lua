-- What a body of Responses and its items look like. Data, and what data cannot say.

local json = require "chatbot.offline.json"
local refusal = require "chatbot.offline.refusal"
local shape = require "chatbot.offline.shape"

local M = {}

local given = json.given

local EFFORTS = shape.one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")
local STATUS = shape.one_of("in_progress", "completed", "incomplete")
local NAME = shape.string { min = 1, max = 64, pattern = "[a-zA-Z0-9_%-]+" }
local CALL_ID = shape.string { min = 1, max = 64 }

-- Parts ----------------------------------------------------------------------

local INPUT_PARTS = {
  input_text = shape.object { ["type!"] = shape.any, ["text!"] = shape.string() },
  input_image = shape.object { ["type!"] = shape.any, image_url = shape.string(),
    file_id = shape.string(), detail = shape.one_of("low", "high", "auto", "original") },
  input_file = shape.object { ["type!"] = shape.any, filename = shape.string(),
    file_data = shape.string(), file_url = shape.string(), file_id = shape.string(),
    detail = shape.string() },
  input_audio = shape.object { ["type!"] = shape.any, ["input_audio!"] = shape.map },
}

local OUTPUT_PARTS = {
  output_text = shape.object { ["type!"] = shape.any, ["text!"] = shape.string(),
    annotations = shape.list(shape.map), logprobs = shape.list(shape.map) },
  refusal = shape.object { ["type!"] = shape.any, ["refusal!"] = shape.string() },
}

local function content(parts)
  return shape.text_or(shape.string(), shape.list(shape.tagged("type", parts)))
end

-- Items ----------------------------------------------------------------------

local function message(parts)
  return shape.object { type = shape.one_of("message"), ["role!"] = shape.any,
    ["content!"] = content(parts), id = shape.string(), status = STATUS,
    phase = shape.one_of("commentary", "final_answer") }
end

local MESSAGE = shape.tagged("role", { user = message(INPUT_PARTS), system = message(INPUT_PARTS),
  developer = message(INPUT_PARTS), assistant = message(OUTPUT_PARTS) })

local ITEMS = {
  message = MESSAGE,
  function_call = shape.object { ["type!"] = shape.any, id = shape.string(), status = STATUS,
    ["call_id!"] = CALL_ID, ["name!"] = NAME, ["arguments!"] = shape.string(),
    namespace = shape.string(), caller = shape.map },
  function_call_output = shape.object { ["type!"] = shape.any, id = shape.string(),
    ["call_id!"] = CALL_ID, ["output!"] = content(INPUT_PARTS), status = STATUS,
    caller = shape.map },
  reasoning = shape.object { ["type!"] = shape.any, id = shape.string(), status = STATUS,
    ["summary!"] = shape.list(shape.tagged("type", { summary_text = shape.object {
      ["type!"] = shape.any, ["text!"] = shape.string() } })),
    content = shape.list(shape.tagged("type", { reasoning_text = shape.object {
      ["type!"] = shape.any, ["text!"] = shape.string() } })),
    encrypted_content = shape.string() },
  item_reference = shape.object { ["type!"] = shape.any, ["id!"] = shape.string() },
}

-- Items of hosted tools: this server makes none, and lets those of others be.
for name in ([[web_search_call file_search_call code_interpreter_call image_generation_call
  mcp_list_tools mcp_call mcp_approval_request mcp_approval_response computer_call
  computer_call_output local_shell_call local_shell_call_output shell_call shell_call_output
  apply_patch_call apply_patch_call_output custom_tool_call custom_tool_call_output compaction
  tool_search_call tool_search_output]]):gmatch("%S+") do
  ITEMS[name] = shape.map
end

-- The body -------------------------------------------------------------------

local FUNCTION = shape.object { ["type!"] = shape.any, ["name!"] = NAME,
  description = shape.string(), parameters = shape.map, strict = shape.boolean,
  defer_loading = shape.boolean }

-- A tool of another type is the service's own: that there is none is said by responses.lua.
local function tool(value, path)
  local wrong = shape.object({ ["type!"] = shape.string() }, true)(value, path)
  if wrong then return wrong end
  if value.type == "function" then return FUNCTION(value, path) end
end

local FORMAT = shape.tagged("type", {
  text = shape.object { ["type!"] = shape.any },
  json_object = shape.object { ["type!"] = shape.any },
  json_schema = shape.object { ["type!"] = shape.any, ["name!"] = NAME, ["schema!"] = shape.map,
    strict = shape.boolean, description = shape.string() },
})

local CHOICE = shape.text_or(shape.one_of("none", "auto", "required"), shape.tagged("type", {
  ["function"] = shape.object { ["type!"] = shape.any, ["name!"] = shape.string() } }))

M.body = shape.object {
  ["model!"] = shape.string { min = 1 },
  input = shape.text_or(shape.string(),
    shape.list(shape.tagged("type", ITEMS, "message"), { min = 1 })),
  instructions = shape.string(),
  stream = shape.boolean,
  stream_options = shape.object { include_obfuscation = shape.boolean },
  store = shape.boolean,
  previous_response_id = shape.string(),
  include = shape.list(shape.one_of("file_search_call.results", "web_search_call.results",
    "web_search_call.action.sources", "message.input_image.image_url",
    "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    "reasoning.encrypted_content", "message.output_text.logprobs")),
  max_output_tokens = shape.integer { min = 16 },
  max_tool_calls = shape.integer { min = 1 },
  temperature = shape.number { min = 0, max = 2 },
  top_p = shape.number { min = 0, max = 1 },
  top_logprobs = shape.integer { min = 0, max = 20 },
  reasoning = shape.object { effort = EFFORTS, context = shape.string(), mode = shape.string(),
    summary = shape.one_of("auto", "concise", "detailed"),
    generate_summary = shape.one_of("auto", "concise", "detailed") },
  text = shape.object { format = FORMAT, verbosity = shape.one_of("low", "medium", "high") },
  tools = shape.list(tool),
  tool_choice = CHOICE,
  parallel_tool_calls = shape.boolean,
  truncation = shape.one_of("auto", "disabled"),
  metadata = shape.map,
  service_tier = shape.string(),
  prompt_cache_key = shape.string(),
  prompt_cache_options = shape.map,
  prompt_cache_retention = shape.string(),
  safety_identifier = shape.string(),
  user = shape.string(),
  background = shape.boolean,
}

-- What data cannot say -------------------------------------------------------

local PREFIXES = { function_call = "fc", function_call_output = "fc", reasoning = "rs",
  message = "msg" }

local function id_refused(item, place)
  local id, prefix = given(item.id), PREFIXES[item.type or "message"]
  if id and prefix and id:sub(1, #prefix) ~= prefix then
    return refusal.new(400, ("Invalid '%s.id': '%s'. Expected an ID that begins with '%s'.")
      :format(place, id, prefix), place .. ".id", "invalid_value")
  end
end

local function image_refused(part, place)
  local url = given(part.image_url)
  if not url and not given(part.file_id) then
    return refusal.new(400, ("Missing required parameter: '%s.image_url'."):format(place),
      place .. ".image_url", "missing_required_parameter")
  end
  place = place .. ".image_url"
  local kind, data = (url or "https://"):match("^data:([^;,]*);base64,(.*)$")
  if kind and (not kind:find("^image/") or data == "" or data:find("[^%w+/=]")) then
    return refusal.new(400, ("Invalid '%s'. Expected a base64-encoded data URL with an image MIME "
      .. "type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got unsupported MIME type "
      .. "'%s' or other data."):format(place, kind), place, "invalid_value")
  elseif not kind and not (url or "https://"):find("^https?://") then
    return refusal.new(400, ("Invalid '%s'. Expected a valid URL, but got a value with an invalid "
      .. "format."):format(place), place, "invalid_value")
  end
end

local function parts_refused(parts, place)
  for i, part in ipairs(json.is_list(parts) and parts or {}) do
    if part.type == "input_image" then
      local why = image_refused(part, ("%s[%d]"):format(place, i - 1))
      if why then return why end
    end
  end
end

---What is refused though the shape fits.
---@param body table
---@return chatbot.offline.Refusal?
function M.further(body)
  if given(body.stream_options) and body.stream ~= true then
    return refusal.new(400,
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
  elseif body.background == true then
    return refusal.new(400, "Background mode is not supported with this model.", "background")
  end
  for i, item in ipairs(json.is_list(body.input) and body.input or {}) do
    local place = ("input[%d]"):format(i - 1)
    local why = id_refused(item, place) or parts_refused(item.content, place .. ".content")
      or parts_refused(item.output, place .. ".output")
    if why then return why end
  end
end

return M
