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
  "examples/nmap.nse",
  "bench/**/*.lua", ".ci/*.lua", "bin/chatbot",
  "rockspec/*.rockspec", ".luacheckrc", ".busted" }

-- Hosts forbid to read a global that is not there: what one Lua lacks is read by rawget.
files["lua"] = { not_globals = { "jit", "unpack", "loadstring", "setfenv", "utf8", "vim" } }
for _, name in ipairs { "health", "nvim" } do
  files["lua/chatbot/" .. name .. ".lua"] = { read_globals = { "jit", "unpack", "vim" } }
end
files["examples"] = { read_globals = { "core", "mp", "pandoc", "tex", "texio", "weechat" } }
files["examples/luatex.lua"] = { std = "lua53", globals = { "ask" } }
files["examples/weechat.lua"] = { globals = { "chatbot_ready", "chatbot_command" } }
files["examples/nmap.nse"] = {
  globals = { "action", "author", "categories", "description", "hostrule", "license" },
}
files["plugin"] = { globals = { "vim" } }
files["examples/love"] = { std = "+love" }
files["examples/nginx/chat.lua"] = { std = "+ngx_lua" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "rockspec" }
