---@meta chatbot.types
-- luacheck: ignore 212 241

-- types.lua - what an editor with the Lua language server wants to know of the
-- module: every function, method, option and field, in LuaCATS annotations
-- (https://luals.github.io/wiki/annotations/). Nothing of it runs.
-- doc/reference.md explains what stands here in one line each.

---A message of the conversation. Other fields are sent as they are.
---@class chatbot.Message
---@field role "system"|"developer"|"user"|"assistant"|"tool"|string
---@field content? string|chatbot.Part[]
---@field tool_calls? chatbot.ToolCall[] of an assistant
---@field tool_call_id? string of a tool: the call that this answers
---@field refusal? string of an assistant
---@field provider? string whose reasoning_content, reasoning_details or extra_content is here
---@field native? chatbot.Native of an assistant: what goes back to one service alone
---@field [string] any

---An answer as it was in Responses or Messages, with sealed thoughts and what the service's own
---tools did. It goes back to the same model at the same server, as long as the message says what
---it said then. Not to be changed, but to be taken out.
---@class chatbot.Native
---@field dialect "responses"|"messages"
---@field provider string
---@field server string the base URL
---@field model string that was asked
---@field own string tells whether the message has been changed
---@field before? string the same of all that was sent before it, where that matters
---@field id? string under which the service keeps all of it, with `store = true`
---@field items? string[] JSON texts, in the order in which they came

---A part of a message's content: `{type = "text", text = ...}`,
---`{type = "image_url", image_url = {url = ...}}` or
---`{type = "file", file = {file_data = ..., filename = ...}}`, and what else a service has.
---@class chatbot.Part
---@field type "text"|"image_url"|"file"|string
---@field text? string
---@field image_url? { url: string, detail?: string }
---@field file? { file_data?: string, file_url?: string, file_id?: string, filename?: string }
---@field [string] any

---@class chatbot.ToolCall
---@field id? string
---@field type "function"|string
---@field function { name: string, arguments: string } `arguments` is JSON text
---@field custom? boolean of Responses: `arguments` is any text

---A function that the model may call. The form of the service ({type = "function",
---["function"] = {...}}) does as well. One of another type is the service's own, and is sent
---as it is.
---@class chatbot.Tool
---@field name? string 1 to 64 letters, digits, _ and -; of the service's own: as it says
---@field type? "function"|string
---@field description? string
---@field parameters? table JSON schema of the arguments
---@field strict? boolean
---@field call? fun(arguments: table, call: chatbot.ToolCall): any, string? none: the caller's part
---@field [string] any is sent beside the function

---What `on_tool` gets, before (`done` is false) and after a call.
---@class chatbot.ToolEvent
---@field name string
---@field id string
---@field arguments? table nil when they are no JSON object
---@field done boolean
---@field result? any
---@field error? string what the model is told instead

---Counts of tokens, as the server reported them.
---@class chatbot.Usage
---@field prompt_tokens? integer
---@field completion_tokens? integer
---@field total_tokens? integer
---@field cached_tokens? integer of the prompt's, whatever the service calls them
---@field cache_write_tokens? integer of the prompt's: went to a cache
---@field reasoning_tokens? integer of the answer's
---@field [string] any

---@class chatbot.Logprobs
---@field content? chatbot.TokenLogprob[]
---@field refusal? chatbot.TokenLogprob[]

---@class chatbot.TokenLogprob
---@field token string
---@field logprob number natural logarithm of the probability
---@field bytes? integer[]
---@field top_logprobs? chatbot.TokenLogprob[]

---What an answer rests on. Other fields are the service's.
---@class chatbot.Citation
---@field url? string
---@field title? string
---@field text? string what is cited
---@field start_index? integer where: in the answer; with Messages in the document that is cited
---@field end_index? integer
---@field type? string
---@field file_id? string
---@field filename? string
---@field [string] string|number

---An image that the model has made.
---@class chatbot.GeneratedImage
---@field data string bytes
---@field type string "image/png", ...

---How a service is asked: chat completions, OpenAI's Responses, Anthropic's Messages.
---@alias chatbot.Api "chat"|"responses"|"messages"

---Clocks, in seconds, and maxima, in bytes; of both 0 is no limit.
---@class chatbot.Limits
---@field connect_timeout? number until there is a connection to send on; default 10
---@field first_byte_timeout? number from there to the first byte of the answer; default 600
---@field idle_timeout? number between two arrivals; default 600
---@field event_timeout? number between two events with data, comments not counted; default 0
---@field timeout? number all tries, from when the turn has come; default 0
---@field max_retries? integer further tries after the first; default 2
---@field max_event_bytes? integer one event of a stream; default 16 MiB
---@field max_answer_bytes? integer an answer's text, or a body that is no stream; default 64 MiB
---@field max_error_bytes? integer of an error's body is read; default 64 KiB
---@field max_header_bytes? integer all headers of a response, at most 300,000; default 256 KiB
---@field max_queue_bytes? integer undecoded bytes, above which reading pauses; default 48 KiB
---@field max_request_bytes? integer bytes of a request's body; default 64 MiB

---What a bot and a single call can both be given; a call's wins.
---@class chatbot.SharedOptions: chatbot.Limits
---@field api? chatbot.Api how the service is asked; default: as its data say for the model
---@field stream? boolean false: ask for the whole answer at once; default true
---@field headers? table<string, string> further headers; they replace the module's own
---@field wait? fun(reply: chatbot.Reply) lets a foreign scheduler go on while there is nothing
---@field on_text? fun(text: string) is called with each text that has arrived
---@field on_reasoning? fun(text: string) the same, for what the model thinks
---@field on_event? fun(event: table) is called with each decoded event of the stream
---@field replace_invalid_utf8? boolean send U+FFFD for what is not valid UTF-8
---@field verbose? boolean|integer 1: token usage to stderr; 2: the whole response as well

---What goes beyond one request, for a bot and for a single call.
---@class chatbot.AskOptions
---@field tools? chatbot.Tool[] functions that the model may call
---@field on_tool? fun(event: chatbot.ToolEvent) is called before and after each of them
---@field max_tool_rounds? integer how often the bot goes on by itself; default 8
---@field json? boolean the answer is to be JSON: reply.parsed
---@field schema? table the answer is to be JSON of this shape
---@field strict? boolean true: what the service refuses or lacks is the caller's to deal with;
---  false: parts of a prompt that it cannot have are left out, too
---@field reasoning? false|"minimal"|"low"|"medium"|"high"|"max"|integer|table how much to think:
---  an integer is tokens, a table the service's own
---@field search? boolean|table the service may search the web; a table is its own settings
---@field cache? boolean marks what Anthropic is to cache; others do by themselves

---What `chatbot.new` takes. An unknown name raises.
---@class chatbot.Options: chatbot.SharedOptions, chatbot.AskOptions
---@field model? string|string[] finds the provider, where neither it nor base_url is given;
---  a list: the next when one cannot be asked
---@field provider? string the provider, whatever the model is called
---@field base_url? string the server, without the trailing /chat/completions
---@field api_key? string|fun(provider: string, base_url: string): string? the key, or who knows it
---@field messages? chatbot.Message[] how the conversation begins; it is copied
---@field system? string the system message
---@field temperature? number|false default 0; false leaves it to the server
---@field organization? string header OpenAI-Organization
---@field project? string header OpenAI-Project
---@field max_context_tokens? integer forget the oldest exchanges when an answer's total passes it
---@field on_trim? fun(messages: chatbot.Message[]) is told what max_context_tokens took out
---@field keep_partial? boolean keep the text of an answer that failed as a message
---@field think_tags? boolean <think> tags before an answer hold reasoning
---@field http_version? "1.1"|"2" default "1.1"
---@field ca_file? string CA certificates, in PEM
---@field proxy? string URL of a proxy; default from the environment; never for loopback
---@field allow_insecure_http? boolean let a key travel over http:// to other machines

---What `chat` and `stream` take. Every other string key is a field of the
---request's body and is sent as it is; some that services know are listed here.
---@class chatbot.CallOptions: chatbot.SharedOptions, chatbot.AskOptions
---@field temperature? number|false
---@field max_tokens? integer
---@field logprobs? boolean
---@field top_logprobs? integer
---@field tool_choice? string|table
---@field response_format? table
---@field seed? integer
---@field stop? string|string[]
---@field store? boolean with Responses: true lets the service keep the conversation
---@field [string] any

---@alias chatbot.ErrorKind
---| "config" the request could not be made: no key, a bad URL or header, no libcurl
---| "busy" another reply of this bot is under way
---| "dns" the name of the host or proxy is unknown
---| "connect" no connection
---| "tls" the certificate or the handshake
---| "proxy" the proxy refused
---| "timeout" one of the clocks ran out; see `phase`
---| "reset" the connection broke
---| "truncated" the answer ended before it was complete
---| "http" a status of 400 and above
---| "api" an error inside an answer with status 200
---| "redirect" a status of 300 to 399, which is never followed
---| "protocol" the answer is neither a completion nor a stream of chunks
---| "limit" one of the maxima was passed
---| "cancelled" closed by the program, or by Ctrl-C in the terminal chat
---| "closed" the engine is gone, or the reply is that of the process that was forked
---| "memory" there is not enough

---What comes back beside nil. `tostring` gives one line for people.
---@class chatbot.Error
---@field kind chatbot.ErrorKind
---@field message string
---@field retryable boolean whether the same request might work later
---@field phase? "connect"|"first_byte"|"idle"|"event"|"total" of a timeout
---@field status? integer of HTTP
---@field code? string|integer the service's own
---@field type? string the service's own
---@field param? string the service's own: the field to blame
---@field request_id? string to quote to the service's support
---@field retry_after? number seconds that the server asked to wait
---@field attempts? integer requests made
---@field provider? string
---@field model? string
---@field partial? string the text that had arrived

---@alias chatbot.Status
---| "streaming" under way
---| "complete" ended by the model
---| "length" cut at a limit of tokens
---| "tool_calls" the model wants tools called
---| "filtered" stopped by a content filter
---| "error" failed
---| "cancelled" closed before its end

---What `chatbot.register` takes. What is left out stays as it was.
---@class chatbot.Provider
---@field name? string as the first argument
---@field base_url? string without the trailing /chat/completions
---@field base_url_env? string variable that replaces `base_url` when it is set
---@field base_url_suffix? string is added to the value of that variable
---@field api_version_env? string Azure: variable with the api-version of a deployment's URL
---@field api? chatbot.Api how it is asked at its own address; default "chat"
---@field responses_url? string base URL for Responses, where that has another one
---@field messages_url? string base URL for Messages, the same
---@field reasoning? "effort"|"object"|"switch"|"flag"|"template"|"budget"|"none" how chat
---  completions say what the option of that name says
---@field efforts? string[] from the least to the most, of none minimal low medium high xhigh max
---@field search? "responses"|"messages"|"plugins"|"always" where it can search the web
---@field lacks? string[] what chat completions do not take there: "image", "file", "audio"
---@field api_key_env? string[] variables that may hold the key, first one first
---@field api_key_optional? boolean a request without a key is sent
---@field auth_header? string header for the key instead of `Authorization: Bearer`
---@field match? string[] the model's name contains one of these
---@field match_prefix? string[] the model's name starts with one of these
---@field headers? table<string, string> further headers
---@field header_env? table<string, string> header -> variable with its value
---@field stream_options? boolean false: the service does not take this field
---@field loading_wait? boolean 503 means that a model is being loaded; wait for it
---@field json_object? boolean false: response_format is not taken as {type = "json_object"}
---@field json_schema? boolean false: nor as {type = "json_schema"}
---@field reasoning_back? boolean the reasoning of a turn with tool calls is sent back
---@field reasoning_details? boolean so are the reasoning_details of an answer
---@field short_ids? boolean ids of tool calls must be nine letters and digits
---@field think_tags? boolean thoughts may stand in <think> tags before an answer
---@field extra_content? boolean so is the extra_content of a tool call
---@field rename? table<string, string> field of the body -> the name this service has for it
---@field models? chatbot.ModelRule[] further rules for some models

---For the models for which all of the first three hold that are given.
---@class chatbot.ModelRule
---@field prefix? string[] the model's name starts with one of these
---@field match? string[] the model's name contains one of these
---@field since? table<string, string> word -> version: the name has it, or a later one, behind it
---@field own? boolean not at a base_url that is given without provider
---@field rename? table<string, string>
---@field omit? string[] defaults of the module that these models refuse: "temperature"
---@field api? chatbot.Api
---@field reasoning? string as of a provider; "none": these models do not think
---@field efforts? string[]
---@field thinking? "budget"|"adaptive"|"none" how Messages is told how much to think
---@field max_output? integer the most tokens of an answer, which Messages wants to be told
---@field fixed? boolean Messages takes neither temperature, top_p nor top_k
---@field schema? boolean Messages takes the schema of an answer

---A row of `chatbot.providers()`.
---@class chatbot.ProviderInfo
---@field name string
---@field base_url? string
---@field api_key_env string[]
---@field has_key boolean whether one of the variables is set

---Where a bot's requests go. No key is in it.
---@class chatbot.Route
---@field name string the provider
---@field base_url string
---@field model string as it is sent
---@field has_key boolean


-- The module ------------------------------------------------------------------

---@class chatbot
---@field _VERSION string
local chatbot = {}

---A conversation with a model. Raises when an option is wrong.
---@param options chatbot.Options
---@return chatbot.Chatbot
function chatbot.new(options) end

---Does what is ready for all replies, and calls their `on_text`.
---@param max_seconds? number waits as long for something to happen; default 0, negative: no limit
---@param opts? { budget?: number } milliseconds that it may take over what has arrived
---@return integer active how many replies are under way
function chatbot.poll(max_seconds, opts) end

---What a poll may take over what has arrived, when it is not told otherwise.
---@param ms? number
---@return number ms
function chatbot.budget(ms) end

---How many requests run at once; the others wait for their turn. One that nobody reads does
---not count after a second.
---@param n? integer 0: any number
---@return integer n
function chatbot.max_concurrent(n) end

---The descriptor to watch for reading: then call `poll`. Nil where there is none.
---@return integer? fd
function chatbot.pollfd() end

---Seconds until `poll` must be called anyway, nil when only the descriptor counts.
---@return number? seconds
function chatbot.timeout() end

---Does now what the first request, and the first call of some functions, would do: loads
---libcurl, lua-cjson, CA certificates and the module's own files, and starts the engine. A host
---may fork, change its root directory or its search path afterwards.
---@return true?
---@return chatbot.Error? err
function chatbot.warmup() end

---Adds a provider, or changes one. Raises when a field is wrong.
---@param name string
---@param provider chatbot.Provider
function chatbot.register(name, provider) end

---The providers, in the order in which a model's name is matched.
---@return chatbot.ProviderInfo[]
function chatbot.providers() end

---Marks a table as a JSON array, also when it is empty, and returns it.
---@generic T: table
---@param list T
---@return T
function chatbot.array(list) end

---A part for a prompt: `bot:chat { "What is this?", assert(chatbot.image("cat.png")) }`.
---@param source string a URL (http, https, data), the bytes of an image, or a file's path
---@param opts? { detail?: string, max_bytes?: integer }
---@return chatbot.Part?
---@return string? problem
function chatbot.image(source, opts) end

---A PDF for a prompt: `bot:chat { "Sum it up.", assert(chatbot.document("report.pdf")) }`.
---@param source string a URL (http, https, data), the bytes of a PDF, or a file's path
---@param opts? { name?: string, max_bytes?: integer } `name`: what the model is told it is called
---@return chatbot.Part?
---@return string? problem
function chatbot.document(source, opts) end

---Writes conversation and settings as JSON, at once or not at all. Never a key. What is there
---already keeps its mode, and links to it.
---@param bot chatbot.Chatbot
---@param path string
---@return true?
---@return string? problem
function chatbot.save(bot, path) end

---A bot with what was saved.
---@param path string
---@param options? chatbot.Options in place of those that were saved
---@return chatbot.Chatbot?
---@return string|chatbot.Error? problem of the kind `config` when the options must say where the
---  conversation goes
function chatbot.load(path, options) end

---Waits for all replies to end.
---@async
---@param replies chatbot.Reply[]
---@return { answer: string?, reply: chatbot.Reply, err: chatbot.Error? }[] in the same order
function chatbot.all(replies) end

---Waits for the first reply to end, well or badly; the others go on.
---@async
---@param replies chatbot.Reply[]
---@return integer? index nil when there are none
---@return string? answer
---@return chatbot.Reply|chatbot.Error
function chatbot.race(replies) end


-- The bot ---------------------------------------------------------------------

---@class chatbot.Chatbot: userdata
local Chatbot = {}

---Asks, and waits for the whole answer. In a coroutine it never blocks: each
---yield hands out the text that has arrived, "" when there is none yet.
---@async
---@param prompt? string|chatbot.Part[] nil: send the conversation as it stands
---@param opts? chatbot.CallOptions
---@return string? answer
---@return chatbot.Reply|chatbot.Error reply
function Chatbot:chat(prompt, opts) end

---Asks. The reply that comes back is under way.
---@param prompt? string|chatbot.Part[]
---@param opts? chatbot.CallOptions
---@return chatbot.Reply?
---@return chatbot.Error? err
function Chatbot:stream(prompt, opts) end

---The conversation itself: what is changed in it is sent with the next prompt.
---@return chatbot.Message[]
function Chatbot:get_messages() end

---Puts copies of these messages in place of the conversation.
---@param list chatbot.Message[]
---@return chatbot.Chatbot?
---@return chatbot.Error? err busy
function Chatbot:set_messages(list) end

---Forgets the conversation but for the system message.
---@return chatbot.Chatbot?
---@return chatbot.Error? err busy
function Chatbot:reset() end

---Takes the last exchange (a prompt and all that answers it) out again.
---@return chatbot.Message[]? messages that were taken out, nil when there was none
---@return chatbot.Error? err busy
function Chatbot:undo() end

---A bot of its own with the same settings and a copy of the conversation.
---@return chatbot.Chatbot
function Chatbot:fork() end

---Answers a call of a tool that the caller runs; then bot:chat() goes on.
---@param id string of the call
---@param value any a string as it is, anything else as JSON
---@return chatbot.Chatbot?
---@return chatbot.Error? err busy
function Chatbot:tool_result(id, value) end

---What the servers counted for this bot so far.
---@return { prompt_tokens: integer, completion_tokens: integer, total_tokens: integer }
function Chatbot:get_usage() end

---Talks to another model from the next prompt on, in the same conversation.
---@param name string|string[] a list: the next one when one cannot be asked
---@param opts? chatbot.Options all but `messages` and `system`
---@return chatbot.Chatbot
function Chatbot:set_model(name, opts) end

---@return string model as it is sent
function Chatbot:get_model() end

---@return chatbot.Route
function Chatbot:get_provider() end

---The option `wait` from the next request on; nil for none.
---@param wait? fun(reply: chatbot.Reply)
---@return chatbot.Chatbot
function Chatbot:set_wait(wait) end

---The names of the models that the server has.
---@async
---@param opts? chatbot.SharedOptions
---@return string[]?
---@return chatbot.Error? err
function Chatbot:models(opts) end


-- The reply -------------------------------------------------------------------

---@class chatbot.Reply: userdata
---@field text string all text so far
---@field status chatbot.Status
---@field api chatbot.Api how the service was asked
---@field reasoning? string what the model thought, where the service tells
---@field refusal? string
---@field tool_calls? chatbot.ToolCall[] once the answer is complete
---@field usage? chatbot.Usage
---@field finish_reason? string as the server wrote it
---@field logprobs? chatbot.Logprobs
---@field citations? chatbot.Citation[] what the answer rests on
---@field images? chatbot.GeneratedImage[] that the model has made
---@field message? chatbot.Message what was added to the conversation
---@field parsed? table the decoded answer, with `json` or `schema`
---@field adjusted? table<string, any> parameter -> its other name, "dropped", or what was sent
---@field attempts? { provider: string, model: string, kind: string, message: string }[]
---@field provider? string who was asked
---@field id? string
---@field model? string as the server named it
---@field request_id? string from the response's headers
---@field raw? table the last object that was decoded; the whole response without streaming
local Reply = {}

---What has arrived since the last call. Never waits.
---@return string? text
---@return "wait"|"done"|chatbot.Error? state
function Reply:poll() end

---Iterates over the text as it arrives; raises the error table on failure.
---@async
---@return fun(): string?
function Reply:chunks() end

---Waits for the end.
---@async
---@return string? answer
---@return chatbot.Reply|chatbot.Error reply
function Reply:result() end

---Blocks until something has changed.
---@param seconds? number at most; default: no limit
---@return boolean ended
function Reply:wait(seconds) end

---Cancels the reply if it is under way. Also when it is collected, and at the
---end of a block in Lua 5.4: `local reply <close> = ...`.
---@param callback? fun() is called before this returns
function Reply:close(callback) end

---@return boolean whether it has ended
function Reply:is_closing() end

---@return integer? fd as chatbot.pollfd
function Reply:pollfd() end

---@return "r" events to watch the descriptor for
function Reply:events() end

---@return number? seconds as chatbot.timeout; 0 when the reply has ended
function Reply:timeout() end
