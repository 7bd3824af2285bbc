-- `luarocks make` in the project's root builds and installs from the work tree.
--
-- The Makefile does the building, because the module must hide every symbol
-- but one, which the builtin build type has no flags for.
--
-- Of libcurl's files for developers it is curl-config that is looked for: LuaRocks
-- knows where programs are on every system, but not where Debian has its headers
-- (/usr/include/x86_64-linux-gnu), which the compiler knows by itself. CURL_DIR or
-- CURL_INCDIR name another libcurl.
--
-- lua-cjson is no dependency here though chatbot does not work without: it comes
-- with OpenResty and Neovim (vim.json) and as a system package, and of those
-- LuaRocks knows nothing. Listed, `luarocks make` would fetch a second copy, and
-- fail where no server is reachable, unless each user wrote rocks_provided into
-- a configuration. So `make install` looks for it and tells who has none. The
-- rockspec of a release, which `make dist` makes of this one, does list it.
rockspec_format = "3.0"
package = "chatbot"
version = "scm-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "Chat completions that stream into Lua without freezing the host",
  detailed = [[
A C module that lets a Lua script, an editor or a game talk to any
OpenAI-compatible chat service: HTTP by libcurl and event streams parsed in C,
the text handed to coroutines as it arrives, the provider switched by naming
another model.]],
  license = "MIT",
  labels = { "ai", "llm", "openai", "chat", "http", "async" },
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.1, < 5.6",
}
external_dependencies = {
  CURL = { program = "curl-config" },
}
build = {
  type = "make",
  build_target = "core",
  variables = {
    BUILD = "build/rock",
    LUA = "$(LUA)",
    LUA_CFLAGS = "-I$(LUA_INCDIR)",
    CURL_CFLAGS = "-I$(CURL_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    PREFIX = "$(PREFIX)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    BINDIR = "$(BINDIR)",
  },
}
