-- What pages cost: for each step of reading one, the worst that a page can hold. Eight
-- times as much must not take much more than eight times as long, in time of this process;
-- what takes the square of it takes 64 times as long.

local page = require "chatbot.page"
local render = require "chatbot.page.render"
local text = require "chatbot.page.text"

local SMALL, LARGE = 128 * 1024, 1024 * 1024
local MOST = 24 -- times as long
local QUICK = 0.3 -- seconds that are linear whatever the small one took
local TEXT = 8 -- times as much text as page, no more

local function fill(piece, n)
  return piece:rep(math.ceil(n / #piece))
end

-- A page that repeats `piece` behind `before`, which may be repeated itself.
local function of(piece, before, times)
  return function(n) return (before or ""):rep(times or 1) .. fill(piece, n) end
end

-- Half of it one piece, half the other.
local function halves(first, second)
  return function(n) return fill(first, n / 2) .. fill(second, n / 2) end
end

-- One element with something long in an attribute.
local function attribute(name, piece)
  return function(n) return ("<div %s='%s'>x</div>"):format(name, fill(piece, n)) end
end

local function numbered(before, piece, behind)
  return function(n)
    local out = {}
    for i = 1, n / (#piece + 5) do out[i] = piece:format(i) end
    return before .. table.concat(out) .. behind
  end
end

local SENTENCE = "One sentence after another, and each of them is text to be read. "

local PAGES = {
  -- text
  ["blanks"] = function(n) return "<p>one" .. (" "):rep(n) .. "two" end,
  ["blanks and ends of lines"] = of(" \n", "<p>one"),
  ["breaks"] = of("<br>", "<p>one"),
  ["breaks and blanks"] = of(" <br> \n", "<p>one"),
  ["short lines"] = of("x<br>", "<p>"),
  ["blanks that are none"] = of("\194\173\226\128\139", "<p>one"),
  ["characters without blanks"] = of("\229\173\151\n", "<p>"),
  ["code and blanks"] = function(n) return "<pre>one" .. (" "):rep(n) .. "two" end,
  ["code and ends of lines"] = function(n) return "<pre>" .. ("\n"):rep(n) .. "two" end,
  ["what is no UTF-8"] = of("\255", "<p>one"),
  ["NUL"] = of("\0", "<p>one"),
  ["charsets that switch"] = of("\27$B", "<p>one"),
  -- markup
  ["<"] = of "<",
  ["< and a letter"] = of "<a",
  ["tags that end in a quote"] = of "<a b='",
  ["&"] = of "&",
  ["& and a name"] = of "&amp",
  ["a long name behind &"] = of("x", "<p>&"),
  ["entities"] = of "&amp;&#x26;",
  ["comments that open"] = of "<!--",
  ["comments"] = of("<!----> ", "<ul>"),
  ["scripts that open"] = of "<script>",
  ["what begins a tag in a script"] = of("</", "<script>"),
  ["elements within each other"] = of "<div>",
  ["elements that end others"] = halves("<i>", "</b>"),
  ["elements that cannot be ended"] = halves("<b><div></b>", "</u>"),
  ["elements that end themselves"] = halves("<td><li>", "</u>"),
  ["frames"] = halves("<frameset>", "<b>"),
  ["paragraphs without an end"] = of "<p>x",
  ["empty elements far down"] = of("<br>", "<span>", 190),
  ["paragraphs far down"] = of("<p>x", "<span>", 190),
  -- attributes
  ["attributes"] = numbered("<p ", "a%07d ", ">x"),
  ["attributes with values"] = numbered("<p ", "a%07d=''", ">x"),
  ["a long class"] = attribute("class", "nav "),
  ["a class of letters"] = attribute("class", "aB"),
  ["a long id"] = attribute("id", "ad-"),
  ["a long style"] = attribute("style", " "),
  ["classes"] = numbered("", "<p class='nav-%07d'>x</p>", ""),
  -- structure
  ["quotations of lines"] = of("x<br>", "<blockquote>", 150),
  ["quotations of paragraphs"] = of("<p>x", "<blockquote>", 150),
  ["lists of lines"] = of("x<br>", "<ul><li>", 90),
  ["lists of items"] = of("<li>x", "<ul><li>", 90),
  ["numbered items"] = of("<li>x", "<ol start=99999>"),
  ["definitions"] = of("x<br>", "<dl><dd>", 90),
  ["headings within each other"] = of("<br>", "<h2>", 150),
  ["code within code"] = of("x\n", "<pre>", 150),
  ["tables"] = of "<table><tr><td>x</table>",
  ["tables within tables"] = of("<table><tr><td>x</table>", "<table><tr><td>", 60),
  ["tables around paragraphs"] = of("<p>x", "<table><tr><th>a</th><td>", 60),
  ["cells"] = of("<td>x", "<table><tr>"),
  ["cells without a row"] = of("<td>x</td>", "<table>"),
  ["a long cell"] = of("<p>x", "<table><tr><td>a<td>b<tr><td>c<td>"),
  ["paragraphs in a cell that are empty"] = of("<br>",
    "<table><tr><td>a<td>b<tr><td>c<td>" .. ("<p><b>"):rep(90)),
  -- what is beside the text
  ["menus"] = of "<nav>x</nav>",
  ["links"] = of("<li><a href=/>one link</a>", "<ul>"),
  ["boxes of links"] = of("<a href=/>x</a>", "<div>", 150),
  ["comments of readers"] = of("<div class=comment>" .. SENTENCE),
  ["articles"] = of("<article>" .. SENTENCE .. "</article>"),
  ["articles within each other"] = of("<p>" .. SENTENCE, "<article>", 180),
  ["parts with names"] = of("<div id=ad-hoc><h2>Ad hoc</h2>x</div>"),
  ["names far above their heading"] = of("<h2>x", "<div id=nav>", 150),
  ["paragraphs of text"] = of("<p>" .. SENTENCE, "<div><div>"),
  -- what the page says of itself
  ["a long title"] = function(n)
    return "<title>" .. fill("a", n / 2) .. "</title><h1>" .. fill("a", n / 3) .. "b</h1>"
  end,
  ["titles"] = of("<h1>one title</h1>", "<title>another title</title>"),
  ["titles within each other"] = of("<br>", "<h1>", 150),
  ["dates"] = of "<time>x</time>",
  ["dates within each other"] = of("<br>", "<time pubdate>", 150),
  ["meta elements"] = of "<meta name=author content=x>",
  ["charsets in a meta element"] = of("charset ", "<meta http-equiv=content-type content='"),
  ["blanks behind a charset"] = of(" ", "<meta http-equiv=content-type content='charset="),
  ["<html>"] = of "<html lang ",
  ["linked data"] = function(n)
    return "<script type='application/ld+json'>[" .. fill("[],", n) .. "0]</script>x"
  end,
  ["blocks of linked data"] = of "<script type='application/ld+json'>{\"a\":[1]}</script>x",
}

local function seconds(fn, ...)
  collectgarbage()
  local start = os.clock()
  local result = fn(...)
  return os.clock() - start, result
end

-- Fails unless fn(make(n)) takes time in proportion to n.
local function assert_linear(fn, make)
  local small = seconds(fn, make(SMALL))
  assert.truthy(small < 5, ("%.1f s for %d bytes"):format(small, SMALL)) -- or it takes minutes
  local large, result = seconds(fn, make(LARGE))
  assert.truthy(large < math.max(QUICK, MOST * small),
    ("%.3f s for %d bytes, but %.3f s for %d"):format(small, SMALL, large, LARGE))
  return result
end

describe("a page costs what its length says when it holds a megabyte of", function()
  local names = {}
  for name in pairs(PAGES) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local got = assert_linear(function(html)
        return page.parse(html, "text/html") or { text = "" }
      end, PAGES[name])
      assert.truthy(#got.text <= TEXT * LARGE, ("%d bytes of text"):format(#got.text))
    end)
  end

  it("blanks in plain text", function()
    assert_linear(function(bytes) return page.parse(bytes, "text/plain") end, function(n)
      return (" "):rep(n / 2) .. "x" .. ("\n"):rep(n / 2) .. "x"
    end)
  end)
end)

describe("text of a page", function()
  local inputs = {
    { "blanks", function(n) return "x" .. (" "):rep(n) .. "x" end },
    { "blanks alone", function(n) return (" \n"):rep(n / 2) end },
    { "ends of lines", function(n) return "x" .. ("\n"):rep(n) .. "x" end },
    { "breaks", function(n) return "x" .. (" " .. text.BREAK):rep(n / 2) .. "x" end },
    { "ampersands", function(n) return ("&a"):rep(n / 2) end },
  }
  for _, input in ipairs(inputs) do
    for _, name in ipairs { "fold", "trim", "trim_end", "filled" } do
      it(("is changed in one pass: %s of %s"):format(name, input[1]), function()
        assert_linear(text[name], input[2])
      end)
    end
  end

  it("loses its blanks and nothing else", function()
    assert.same({ "", "", "a b" }, { text.trim(""), text.trim(" \n"), text.trim("\t a b\n ") })
    assert.same({ "", " \n a" }, { text.trim_end(" \n "), text.trim_end(" \n a \n") })
    assert.is_nil(text.filled(nil))
    assert.is_nil(text.filled(" \n"))
    assert.equal("a b", text.filled(" a \n\t b "))
    assert.equal("a\n\nb c", text.fold(" a " .. (" " .. text.BREAK):rep(3) .. "b \n\n c"))
    assert.equal("a & b \194\169", text.fold("a &amp b\194\160&copy"))
    assert.equal("日本 or", text.fold("日\n本\nor"))
  end)

  it("that is nested has the prefix of a few levels", function()
    local got = page.parse(("<blockquote>"):rep(50) .. "one<br>two" .. ("</blockquote>"):rep(50)
      .. ("<ul><li>"):rep(50) .. "three<br>four", "text/html").text
    assert.matches("^> > > > > > one\n> > > > > > two\n\n%- ", got)
    assert.matches("%- three\n            four$", got)
  end)

  it("has its list numbered from any number", function()
    for start, first in pairs { ["7"] = 7, ["-2"] = -2, ["1e300"] = 1, ["nan"] = 1, ["0x10"] = 1,
      ["99999999999999999999"] = 1 } do
      assert.equal(first .. ". x",
        page.parse(("<ol start=%s><li>x</ol>"):format(start), "text/html").text)
    end
  end)

  it("of an element alone is one line", function()
    local list = { tag = "ul", attr = {},
      { tag = "li", attr = {}, "a" }, { tag = "li", attr = {}, "b\nc" } }
    assert.equal("- a - b c", render.line({ tag = "div", attr = {}, "x", list }):match("^x (.*)$"))
  end)
end)
