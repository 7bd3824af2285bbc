-- What ELIZA says, by language; lua/chatbot/offline/eliza.lua knows how to use it.

return {
  english = require "chatbot.offline.script.english",
  japanese = require "chatbot.offline.script.japanese",
}
