-- Which part of a page is its text: what no name of an element decides, and what belongs to
-- the text or stands beside it. Pages of whole kinds are in page_spec.lua.

local page = require "chatbot.page"
local support = require "spec.support"

local TEXT = "The text of the page is in sentences, and there are several of them, one by one. "

local function paragraphs(n, text)
  return ("<p>" .. (text or TEXT):rep(2) .. "</p>"):rep(n)
end

local function text_of(html)
  return assert(page.parse(html, "text/html")).text
end

local function has(text, ...)
  for _, piece in ipairs { ... } do
    assert.truthy(text:find(piece, 1, true), ("%q is missing in:\n%s"):format(piece, text))
  end
end

local function lacks(text, ...)
  for _, piece in ipairs { ... } do
    assert.falsy(text:find(piece, 1, true), ("%q is in:\n%s"):format(piece, text))
  end
end

describe("the text of a page", function()
  for _, class in ipairs { "paywall", "share", "widget Blog", "sidebar", "article--Ads", "popup",
    "has-comments comment", "related" } do
    it("is kept whatever the element around it is called: " .. class, function()
      local got = text_of(("<body><div class='%s'>%s<h2>Second part</h2>%s</div><div class='side'>"
        .. "<a href=/1>one</a> <a href=/2>two</a></div>"):format(class, paragraphs(3),
        paragraphs(3)))
      has(got, "The text of the page", "## Second part")
    end)
  end

  it("is kept where a parser has put it into an unclosed menu, footer or header", function()
    for _, tag in ipairs { "nav", "footer", "aside", "header" } do
      has(text_of("<body><" .. tag .. "><ul><li><a href=/>Start</a></ul><article>" .. paragraphs(4)
        .. "</article>"), "The text of the page")
    end
  end)

  it("is kept in sections whose ids are the words of their headings", function()
    local got = assert(page.parse(assert(support.read_file("spec/fixtures/pages/guide.html")),
      "text/html"))
    assert.equal("Keeping a catalogue of moths", got.title)
    has(got.text, "caf\195\169's worth", "## Sharing with one colleague", "agree on the pencil",
      "## Ad hoc counts", "A lamp left on", "## Related records", "Beetles and lacewings",
      "- A paper from 1931", "- An essay on how to draw")
  end)

  it("is not what stands beside it, however much that is", function()
    local got = text_of(assert(support.read_file("spec/fixtures/pages/ticker.html")))
    has(got, "He practised against", "Nobody in the hall", "By noon", "defend the title",
      "### What he plays", "His opening has no name")
    lacks(got, "Jump to the text", "Post", "Send", "Text colour", "Opaque", "week in pictures",
      "harbour seal", "puffins", "Live", "ferry", "wheelbarrow", "balloon", "printed on the island")
  end)

  it("is no list of other stories, each with a little text", function()
    local story = "<li><h3><a href=/x>Another story of the day</a></h3><p>It says in one sentence "
      .. "what the other story is about, and nothing more than that.</p></li>"
    local got = text_of("<body><main><div class=a>" .. paragraphs(5) .. "</div><div class=b><ul>"
      .. story:rep(30) .. "</ul></div></main>")
    has(got, "The text of the page")
    lacks(got, "what the other story")
  end)

  it("is all stories of a page that has nothing else", function()
    local got = text_of("<body><main>" .. ("<article class=teaser><h2><a href=/x>A story</a></h2>"
      .. "<p>" .. TEXT .. "</p></article>"):rep(7) .. "</main>")
    local _, found = got:gsub("The text of the page", "")
    assert.equal(7, found)
  end)

  it("has the parts that are of one kind", function()
    local got = text_of("<body><div class=page><div class='post first'>" .. paragraphs(4)
      .. "</div><div class=x><a href=/>one</a></div><div class='post first'><p>A short post, which "
      .. "is of the same kind.</p></div></div>")
    has(got, "The text of the page", "A short post")
    lacks(got, "one\n")
  end)

  it("has no comments when there is text, and is them when there is none", function()
    local comments = "<div class=comments>" .. ("<div class=comment><p>"
      .. "I think that this is a matter of taste, and of time, and of money.</p></div>"):rep(40)
      .. "</div>"
    lacks(text_of("<body><div class=entry>" .. paragraphs(2) .. "</div>" .. comments), "I think")
    has(text_of("<body><h1>What do you think?</h1>" .. comments), "I think")
  end)

  it("has lists of links that are sentences, but no others", function()
    local function list(link)
      return "<ul>" .. ("<li><a href=/x>" .. link .. "</a></li>"):rep(4) .. "</ul>"
    end
    has(text_of("<body><article>" .. paragraphs(2)
      .. list("A link may well be a whole sentence, with a verb in it, and then it is text to read "
        .. "like any other") .. paragraphs(2)), "- A link may well be")
    lacks(text_of("<body><article>" .. paragraphs(2) .. list("More of this") .. paragraphs(2)),
      "More of this")
  end)

  it("has words that are links, whatever they are called", function()
    has(text_of("<body><p>" .. TEXT .. "The <a class=popup href='x()'>whole sentence</a> is read."),
      "The whole sentence is read.")
  end)

  it("is shown when the page hides all of it until a script runs", function()
    has(text_of("<body style='display: none'>" .. paragraphs(2)), "The text of the page")
    lacks(text_of("<body>" .. paragraphs(1) .. "<div style='visibility:hidden'>" .. paragraphs(3,
      "Nobody sees this. ")), "Nobody sees this")
  end)
end)

describe("the charset that a page claims", function()
  it("counts less than bytes that are UTF-8", function()
    local claim = "<meta charset=%s><p>%s</p>"
    local cases = {
      { "iso-8859-1", "ein Café" }, { "windows-1252", "„so“" }, { "gb2312", "新电脑可以利用记忆自学" },
      { "shift_jis", "日本語の文章です。" },
    }
    for _, case in ipairs(cases) do
      local got = page.parse(claim:format(case[1], case[2]), "text/html")
      assert.same({ case[2], "utf-8" }, { got.text, got.charset })
      got = page.parse("<p>" .. case[2] .. "</p>", "text/html; charset=" .. case[1])
      assert.same({ case[2], "utf-8" }, { got.text, got.charset })
    end
  end)

  it("counts where few bytes could be either", function()
    local got = page.parse("<meta charset=euc-jp><p>\194\162\194\163</p>", "text/html")
    assert.equal("euc-jp", got.charset)
  end)
end)

describe("a page of XHTML", function()
  it("is HTML, also without a type", function()
    local got = page.parse("<?xml version='1.0'?>\n<html xmlns='http://www.w3.org/1999/xhtml'>"
      .. "<head><title>T</title></head><body><p>in a file</p></body></html>")
    assert.same({ "T", "in a file" }, { got.title, got.text })
  end)

  it("is not what other XML is", function()
    local got = page.parse("<?xml version='1.0'?><feed>x</feed>", "text/plain")
    assert.equal("<?xml version='1.0'?><feed>x</feed>", got.text)
  end)
end)
