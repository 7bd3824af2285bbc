-- Answers `POST /chat` with `{"prompt": "..."}`: server-sent events, see chatbot.nginx.
--
-- Nothing of a conversation stays in the worker: any of them answers the next prompt with
-- what is in the store, under the id that the page's cookie has.

local chat = require "chatbot.nginx"
local json = require "cjson.safe"

local KEPT = 3600 -- seconds

-- A foreign page can send a form, but neither this type nor the cookie.
if ngx.req.get_method() ~= "POST" or ngx.var.content_type ~= "application/json" then
  return ngx.exit(ngx.HTTP_BAD_REQUEST)
end
ngx.req.read_body()
local request = json.decode(ngx.req.get_body_data() or "")
local prompt = type(request) == "table" and request.prompt
if type(prompt) ~= "string" or not prompt:find("%S") then
  return ngx.exit(ngx.HTTP_BAD_REQUEST)
end

local talks, id = ngx.shared.talks, ngx.var.cookie_talk
if not (id and #id == 32 and id:find("^%x+$")) then
  id = ngx.var.request_id -- 16 random bytes
  ngx.header["Set-Cookie"] = "talk=" .. id .. "; Path=/; HttpOnly; SameSite=Strict"
end

local bot = chat.new {
  model = os.getenv("MODEL"),
  base_url = os.getenv("BASE_URL"),
  messages = json.decode(talks:get(id) or "[]"),
  system = "You are brief.",
  max_context_tokens = 8000,
}

local answer, other = chat.relay(bot:stream(prompt))
if answer then
  talks:set(id, json.encode(bot:get_messages()), KEPT)
else
  ngx.log(other.kind == "cancelled" and ngx.INFO or ngx.ERR, tostring(other))
end
