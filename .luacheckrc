-- The common subset of Lua 5.1 to 5.5 and LuaJIT, and the names that one of
-- them has, which the code looks for before it uses them.
std = "min"
max_line_length = 100
read_globals = { "jit", "unpack", "loadstring", "setfenv", "utf8", "vim",
  table = { fields = { "unpack", "pack" } },
  math = { fields = { "type" } },
  coroutine = { fields = { "isyieldable", "close" } },
}
exclude_files = { "build" }
include_files = { "lua/**/*.lua", "spec/**/*.lua", "plugin/*.lua", "examples/**/*.lua",
  "bench/**/*.lua", ".ci/*.lua", "bin/chatbot",
  "rockspec/*.rockspec", ".luacheckrc", ".busted" }

files["plugin"] = { globals = { "vim" } }
files["examples/love"] = { std = "+love" }
files["examples/nginx/chat.lua"] = { std = "+ngx_lua" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "rockspec" }
