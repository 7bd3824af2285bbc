-- Starts the example in the foreground, with all that nginx writes in a temporary folder.
-- nginx.conf says how. NGINX may name another nginx, MODULES the folder of its modules.

local port = tonumber(arg[1] or 8080) or error("usage: run.lua [PORT]", 0)

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function output(command)
  local pipe = io.popen(command)
  local line = pipe:read("*l")
  pipe:close()
  return line
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local root = output("cd " .. quote(here) .. "/../.. && pwd")
package.path = root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;" .. package.path

-- OpenResty has ngx_lua in it, elsewhere it is a module.
local nginx, globals = os.getenv("NGINX") or output("command -v openresty"), "daemon off;"
if not nginx then
  nginx = "PATH=$PATH:/usr/sbin nginx"
  local modules = os.getenv("MODULES") or "/usr/lib/nginx/modules"
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    globals = globals .. (" load_module %s/%s.so;"):format(modules, name)
  end
end
if output("id -u") == "0" then globals = globals .. " user root;" end -- to read this folder

local server, variables = nil, ""
if not (os.getenv("MODEL") or os.getenv("BASE_URL")) then
  server = assert(require("chatbot.offline").start())
  variables = ("MODEL=%s BASE_URL=%s "):format(server.model, server.base_url)
end

local dir = output("mktemp -d")
assert(os.execute(("ln -s %s %s/checkout"):format(quote(root), dir)))
local file = assert(io.open(dir .. "/nginx.conf", "w"))
file:write((read(root .. "/examples/nginx/nginx.conf"):gsub("listen 127.0.0.1:8080",
  "listen 127.0.0.1:" .. port)))
file:close()
print(("http://127.0.0.1:%d/   (Ctrl-C ends it)"):format(port))
io.stdout:flush()
os.execute(("%s%s -p %s -c nginx.conf -g %s"):format(variables, nginx, dir, quote(globals)))
os.execute("rm -rf " .. dir)
if server then server.stop() end
