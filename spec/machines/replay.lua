-- Plays recorded answers of services to the module, and compares what it makes of them
-- with an independent reading (replay/chat.lua, responses.lua, messages.lua), and what it
-- sends, alone and in the later turns of a conversation, with what the recorded client sent.
-- Usage: lua spec/machines/replay.lua DIR [PATTERN]   (make replay DIR=/some/folder)
--
-- DIR has folders chat, responses and messages with recordings in the form that
-- replay/recordings.lua has; recordings in DIR itself are of chat completions. Each answer
-- is played whole, one event a write and cut at random (SEED=n repeats one). Lists each
-- difference, what was left out and why; ends with counts, and fails when there was a
-- difference. What a recorded client does otherwise and nobody asks for is counted as
-- explained. Without DIR it says so and is content.

package.path = "./?.lua;./?/init.lua;" .. package.path

local dir, pattern = arg[1], arg[2]
if not dir or dir == "" then
  print("no recorded answers were named: make replay DIR=/some/folder")
  os.exit(0)
end

local answers = require "spec.machines.replay.answers"
local chat = require "spec.machines.replay.turns_chat"
local others = require "spec.machines.replay.turns"
local recordings = require "spec.machines.replay.recordings"
local report = require "spec.machines.replay.report"
local support = require "spec.support"

local seed = tonumber(os.getenv("SEED")) or os.time() % 1000000
math.randomseed(seed)

local started = support.now()
local list = recordings.load(dir, pattern)

local function play_answers()
  for _, one in ipairs(list) do
    local verdict = answers.reading(one).verdict
    if one.dialect == "chat" then
      answers.play(one, chat.request(one))
    elseif verdict == "paused" then
      report.skip(one.name, "a turn that the service interrupted: see its conversation")
    else
      answers.play(one)
    end
  end
end

local function play_requests()
  for _, one in ipairs(list) do
    if one.dialect ~= "chat" and one.request and one.status == 200
      and answers.reading(one).verdict ~= "protocol" then
      others.request(one)
    end
  end
end

local function play_conversations()
  for _, turns in ipairs(recordings.conversations(list)) do
    (turns[1].dialect == "chat" and chat or others).play(turns)
  end
end

-- How many cases it was.
local function count(play)
  local before = report.passed + report.failed
  play()
  return report.passed + report.failed - before
end

local played, asked, turns = count(play_answers), count(play_requests), count(play_conversations)
support.close_all()
print(("%.1f s under %s, SEED=%d"):format(support.now() - started, support.interpreter(), seed))
print(("%d answers played %d times, %d later turns; %d differences, %d explained; %d requests")
  :format(#list, played, turns, report.differences, report.explained, asked))
if not report.finish() or #list == 0 then os.exit(1) end
