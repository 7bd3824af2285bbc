-- Answers in the manner of Weizenbaum's ELIZA: keywords, decomposition,
-- reassembly, pronouns turned round, and a memory for earlier remarks.
--
-- A pure function of the conversation: the whole of it is replayed for each
-- answer, so the same messages always give the same text and nothing is kept
-- between calls. It must not know that there is a network or a terminal.

local script = require "chatbot.offline.script"
local strip = require("chatbot.common.text").strip

local M = {}

-- A longer remark is not worth being quoted later.
local KEPT_MAX = 200

-- What a word becomes when the speaker changes. "you" depends on its place and
-- is decided in `reflect`.
local TURNED = {
  ["i"] = "you", ["me"] = "you", ["my"] = "your", ["mine"] = "yours", ["myself"] = "yourself",
  ["am"] = "are", ["i'm"] = "you are", ["i've"] = "you have", ["i'll"] = "you will",
  ["i'd"] = "you would", ["your"] = "my", ["yours"] = "mine", ["yourself"] = "myself",
  ["you're"] = "I am", ["you've"] = "I have", ["you'll"] = "I will", ["you'd"] = "I would",
}

-- Verb forms that follow the pronoun in front of them.
local AFTER_I = { ["am"] = "are", ["was"] = "were" }
local AFTER_YOU = { ["are"] = "am", ["were"] = "was", ["aren't"] = "am not" }

-- After these, "you" is an object: "afraid of you" -> "afraid of me".
local TAKES_OBJECT = {}
for word in ([[about after against at before behind beside between but by for from in into
  like near of off on over than to toward under upon with without
  ask believe call find give hate hear help know let love make miss need see show tell thank
  trust understand want]]):gmatch("%S+") do
  TAKES_OBJECT[word] = true
end

-- The text of a message: a string, or the text parts of a list.
local function text_of(message)
  local content = message.content
  if type(content) == "string" then
    return strip(content), false
  end
  local texts, picture = {}, false
  if type(content) == "table" then
    for _, part in ipairs(content) do
      if type(part) == "string" then
        texts[#texts + 1] = part
      elseif type(part) == "table" then
        if type(part.text) == "string" then
          texts[#texts + 1] = part.text
        elseif part.type == "image_url" then
          picture = true
        end
      end
    end
  end
  return strip(table.concat(texts, " ")), picture
end

-- Kana (U+3040..U+30FF) or Han (U+4E00..U+9FFF), judged by bytes.
local function is_japanese(text)
  return text:find("\227[\129-\131]") ~= nil or text:find("[\228-\233][\128-\191]") ~= nil
end

-- Lower case words with one space around each, one string per clause.
local function clauses(text)
  text = text:lower():gsub("\226\128\152", "'"):gsub("\226\128\153", "'")
  text = text:gsub("(%a)%.(%a)%.", "%1%2")
  local list = {}
  for part in text:gmatch("[^.,;:!?\n]+") do
    local clause = part:gsub("[\"()%[%]{}<>]", " "):gsub("%s+", " ")
    clause = clause:gsub("%f[%w']i'm%f[^%w']", "i am"):gsub("%f[%w']what's%f[^%w']", "what is")
    clause = strip(clause)
    if clause ~= "" then
      list[#list + 1] = " " .. clause .. " "
    end
  end
  return list
end

local function reflect(fragment)
  local words, out = {}, {}
  for word in fragment:gmatch("%S+") do
    words[#words + 1] = word
  end
  for i, word in ipairs(words) do
    local before, after = words[i - 1], words[i + 1]
    if word == "you" then
      local object = after == nil or (before ~= nil and TAKES_OBJECT[before])
      out[i] = object and "me" or "I"
    elseif before == "i" and AFTER_I[word] then
      out[i] = AFTER_I[word]
    elseif before == "you" and AFTER_YOU[word] then
      out[i] = AFTER_YOU[word]
    else
      out[i] = TURNED[word] or word
    end
  end
  return table.concat(out, " ")
end

-- Puts a captured text into an answer. A function as replacement, because the
-- user's text may hold a "%".
local function assemble(answer, captured)
  local text = answer:gsub("%%1", function()
    return captured or ""
  end)
  return (text:gsub("^%l", string.upper))
end

-- Where a pattern fits a clause, and its capture. Before the words in the middle the
-- first place is as good as any: looking on from each would take too long in a text that
-- is made for it.
local function find(clause, pattern)
  local from, to = pattern:find("[%w ]*", 1, true)
  if not from then return clause:find(pattern) end
  local before, behind = pattern:sub(1, from - 1), pattern:sub(to + 1)
  for words in clause:gmatch("[%w ]+") do
    local _, place = words:find(before)
    if place and words:find(behind, place + 1) then return words:find(behind, place + 1) end
  end
end

-- The first rule of the list that fits any clause, and its first capture.
local function match(text)
  local parts = clauses(text)
  for _, rule in ipairs(script.english.rules) do
    for _, clause in ipairs(parts) do
      for _, pattern in ipairs(rule) do
        local from, _, captured = find(clause, pattern)
        if from then
          return rule, captured and reflect(captured)
        end
      end
    end
  end
end

-- A pattern class holds bytes, so whole characters are compared.
local function without_stop(text)
  for _, stop in ipairs { "。", "！", "？", "!", "?", "." } do
    if text:sub(-#stop) == stop then
      return without_stop(text:sub(1, -#stop - 1))
    end
  end
  return text
end

local function match_ja(text)
  for _, rule in ipairs(script.japanese.rules) do
    for _, word in ipairs(rule) do
      if text:find(word, 1, true) then
        return rule, text
      end
    end
  end
end

-- Each list of answers is used in turn; `state.used` counts by list.
local function next_of(state, list)
  local n = state.used[list] or 0
  state.used[list] = n + 1
  return list[n % #list + 1]
end

-- One step of the replay: the answer to `text`, with what came before in
-- `state`, and whether it has said what the program is.
local function respond(state, text, picture)
  if text == "" then
    return picture and "I cannot see pictures. What does it show?" or "Please say something."
  end
  local japanese = is_japanese(text)
  local language = japanese and script.japanese or script.english
  local memory = state.memory[language]
  local rule, captured = (japanese and match_ja or match)(text)
  if not rule then
    local kept = memory[memory.next]
    if not kept then return next_of(state, language.fallback) end
    memory.next = memory.next + 1
    return (next_of(state, language.recalled):gsub("%%s", function()
      return kept
    end))
  end
  if rule.keep and #text <= KEPT_MAX then
    memory[#memory + 1] = japanese and without_stop(captured) or assemble(rule.keep, captured)
  end
  local answer = assemble(next_of(state, rule.answers), captured)
  if not rule.about then return answer end
  return strip(answer .. (japanese and "" or " ") .. language.about), true
end

---Answers the last user message of a conversation.
---Deterministic: the same messages give the same text.
---@param messages table[] list of `{role=, content=}`; content is a string or a list of parts
---@return string text never empty
function M.answer(messages)
  local state = { used = {}, memory = {
    [script.english] = { next = 1 }, [script.japanese] = { next = 1 } } }
  local answer, about, last, first = "Please say something.", false, "", true
  for _, message in ipairs(messages) do
    if message.role == "user" then
      local text, picture = text_of(message)
      answer, about = respond(state, text, picture)
      last = text
    elseif message.role == "assistant" then
      first = false
    end
  end
  if first and not about then
    answer = (is_japanese(last) and script.japanese or script.english).about .. answer
  end
  return answer
end

return M
