-- busted under whichever Lua runs this file. The command of that name is a Lua
-- script on some systems and a shell script on others.
require "busted.runner" { standalone = false }
