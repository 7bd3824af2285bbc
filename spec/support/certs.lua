--- Certificates of a test CA, made afresh in memory by each server process.
--
-- Only the CA's certificate touches the disk, because clients want a file; the
-- keys never do. Leaf certificates are made when first asked for.
-- Runs inside the scripted server (lua5.4 with lua-luaossl) alone.

local pkey = require "openssl.pkey"
local x509 = require "openssl.x509"
local x509_name = require "openssl.x509.name"
local x509_altname = require "openssl.x509.altname"
local x509_extension = require "openssl.x509.extension"
local x509_chain = require "openssl.x509.chain"
local ssl_context = require "openssl.ssl.context"
local bignum = require "openssl.bignum"

local DAY = 24 * 60 * 60

local CA = {}
CA.__index = CA

local serial = 0

local function new_key()
  return pkey.new { type = "EC", curve = "prime256v1" }
end

local function new_certificate(name, key, from, to)
  local subject = x509_name.new()
  subject:add("CN", name)
  local certificate = x509.new()
  serial = serial + 1
  certificate:setVersion(3)
  certificate:setSerial(bignum.new(serial))
  certificate:setSubject(subject)
  certificate:setPublicKey(key)
  certificate:setLifetime(os.time() + from * DAY, os.time() + to * DAY)
  return certificate
end

--- A new CA whose certificate is in the file `ca.file`.
local function new()
  local self = setmetatable({ contexts = {} }, CA)
  self.key = new_key()
  self.certificate = new_certificate("Test CA", self.key, -2, 30)
  self.certificate:setIssuer(self.certificate:getSubject())
  self.certificate:setBasicConstraints { CA = true, pathLen = 0 }
  self.certificate:setBasicConstraintsCritical(true)
  self.certificate:addExtension(x509_extension.new("keyUsage", "critical,keyCertSign,cRLSign"))
  self.certificate:sign(self.key)
  self.file = os.tmpname()
  local file = assert(io.open(self.file, "w"))
  file:write(tostring(self.certificate))
  file:close()
  return self
end

function CA:remove()
  os.remove(self.file)
end

-- What each kind of certificate has wrong with it.
local KINDS = {
  ["good"] = {},
  ["cut"] = {}, -- as good; no TLS end of this server has a close_notify
  ["self-signed"] = { self_signed = true },
  ["wrong-host"] = { host = "wrong.example" },
  ["expired"] = { from = -20, to = -10 },
}

--- The server context for a kind of certificate.
function CA:context(kind)
  if self.contexts[kind] then return self.contexts[kind] end
  local how = KINDS[kind] or error("no such kind of TLS: " .. tostring(kind), 0)
  local key = new_key()
  local certificate = new_certificate(how.host or "localhost", key, how.from or -1, how.to or 20)
  local names = x509_altname.new()
  if how.host then
    names:add("DNS", how.host)
  else
    names:add("DNS", "localhost")
    names:add("IP", "127.0.0.1")
  end
  certificate:setSubjectAlt(names)
  certificate:setBasicConstraints { CA = false }
  if how.self_signed then
    certificate:setIssuer(certificate:getSubject())
    certificate:sign(key)
  else
    certificate:setIssuer(self.certificate:getSubject())
    certificate:sign(self.key)
  end
  local context = ssl_context.new("TLS", true)
  context:setCertificate(certificate)
  context:setPrivateKey(key)
  if not how.self_signed then
    local chain = x509_chain.new()
    chain:add(self.certificate)
    context:setCertificateChain(chain)
  end
  self.contexts[kind] = context
  return context
end

return { new = new }
