-- Prompts of several parts: texts and images.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local function collect()
  support.remove_all()
  bots.collect()
end

-- The smallest GIF that there is.
local GIF = "GIF89a\1\0\1\0\128\0\0\0\0\0\255\255\255!\249\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
local GIF_URL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="

local TYPES = {
  ["image/png"] = "\137PNG\r\n\26\n\0\0\0\13IHDR",
  ["image/jpeg"] = "\255\216\255\224\0\16JFIF\0",
  ["image/gif"] = GIF,
  ["image/webp"] = "RIFF\26\0\0\0WEBPVP8L",
  ["image/bmp"] = "BM\70\0\0\0\0\0\0\0\54\0\0\0\40\0\0\0\4\0\0\0\4\0\0\0",
}

describe("chatbot.image", function()
  after_each(collect)

  for kind, bytes in pairs(TYPES) do
    it("knows by its first bytes: " .. kind, function()
      local part = assert(chatbot.image(bytes))
      assert.equal("image_url", part.type)
      assert.equal(0, part.image_url.url:find("data:" .. kind .. ";base64,", 1, true) - 1)
    end)
  end

  it("makes a data URL with all bytes in it", function()
    assert.same({ type = "image_url", image_url = { url = GIF_URL } }, chatbot.image(GIF))
  end)

  it("reads a file, whatever its name says", function()
    local path = support.tmpdir() .. "/BMW of my neighbour, in the garden.jpeg"
    support.write_file(path, GIF)
    assert.equal(GIF_URL, chatbot.image(path).image_url.url)
  end)

  for _, url in ipairs { "https://example.com/cat.png", "http://127.0.0.1/x", GIF_URL } do
    it("takes a URL as it is: " .. url:sub(1, 24), function()
      assert.equal(url, chatbot.image(url).image_url.url)
    end)
  end

  it("takes the detail that the service knows", function()
    assert.equal("low", chatbot.image(GIF, { detail = "low" }).image_url.detail)
  end)

  it("says what is wrong with a file or with bytes", function()
    local part, problem = chatbot.image("/nowhere/cat.png")
    assert.is_nil(part)
    assert.truthy(problem:find("/nowhere/cat.png", 1, true), problem)
    local path = support.tmpdir() .. "/cat.png"
    support.write_file(path, "this is text")
    part, problem = chatbot.image(path)
    assert.is_nil(part)
    assert.truthy(problem:find("no PNG, JPEG, GIF, WebP or BMP", 1, true), problem)
    part, problem = chatbot.image(support.tmpdir())
    assert.is_nil(part)
    assert.equal("string", type(problem))
  end)

  it("has a limit, for bytes and for files", function()
    local path = support.tmpdir() .. "/big"
    support.write_file(path, GIF)
    for _, source in ipairs { GIF, path } do
      assert.truthy(chatbot.image(source, { max_bytes = #GIF }))
      local part, problem = chatbot.image(source, { max_bytes = #GIF - 1 })
      assert.is_nil(part)
      assert.truthy(problem:find("larger than " .. #GIF - 1 .. " bytes", 1, true), problem)
    end
  end)
end)

describe("a prompt of parts", function()
  after_each(collect)

  local function bot_at(server)
    return chatbot.new { base_url = server.url, model = "m", timeout = 20, max_retries = 0 }
  end

  it("is sent with text and image", function()
    local server = support.serve { support.sse { "A dot." } }
    local bot = bot_at(server)
    assert.equal("A dot.", bot:chat { "What is this?", assert(chatbot.image(GIF)),
      { type = "text", text = "Be brief." } })
    local content = server:requests()[1].json.messages[1].content
    assert.same({ { type = "text", text = "What is this?" },
      { type = "image_url", image_url = { url = GIF_URL } },
      { type = "text", text = "Be brief." } }, content)
    assert.same(content, bot:get_messages()[1].content)
    bot:chat("And now?") -- with the image still there
    assert.same(content, server:requests()[2].json.messages[1].content)
  end)

  it("holds an image of the largest size", function()
    local server = support.serve { support.sse { "Big." } }
    local bytes = GIF .. ("\0"):rep(15 * 1024 * 1024)
    assert.equal("Big.", bot_at(server):chat { "?", assert(chatbot.image(bytes)) })
    assert.is_true(server:requests()[1].body_length > 20 * 1024 * 1024)
  end)

  it("with a long text that has to be escaped is sent whole", function()
    local server = support.serve { support.sse { "Long." } }
    local long = ('He said "no" \\ \n\1é'):rep(10000)
    bot_at(server):chat { long, ("x"):rep(100000), assert(chatbot.image(GIF)) }
    local content = server:requests()[1].json.messages[1].content
    assert.is_true(content[1].text == long)
    assert.is_true(content[2].text == ("x"):rep(100000))
  end)

  it("that lacks a part raises, so that no image is left out unseen", function()
    local bot = bot_at(support.serve { support.sse { "x" } })
    for _, method in ipairs { "chat", "stream" } do
      local ok, err = pcall(bot[method], bot, { "What is this?",
        chatbot.image("/nowhere/cat.png") })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("part 2 of the prompt is missing: /nowhere/cat.png", 1,
        true), err)
    end
    assert.same({}, bot:get_messages())
  end)
end)
