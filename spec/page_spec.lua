-- Pages of different kinds: what must be in their text, and what must not. The files are in
-- spec/fixtures/pages.

local core = require "chatbot.core"
local chatbot = require "chatbot"
local page = require "chatbot.page"
local source = require "chatbot.page.source"
local support = require "spec.support"

local function fixture(name)
  return assert(support.read_file("spec/fixtures/pages/" .. name .. ".html"))
end

local JAPANESE = {
  title = "山あいの駅に図書室　住民が本を持ち寄り",
  date = "2025-05-20T10:00:00+09:00", language = "ja",
  has = {
    "かつての駅務室を住民が自分たちの手で改装し", "待合室の暖炉が撤去された",
    "「列車を待つ三十分を楽しい時間にしたかった」", "## 貸出帳は一冊のノート", "返ってこなかった本は三冊", "\n- 開室時間：始発から終列車まで\n- 休み：大雪の日",
  },
  lacks = {
    "クッキー", "政治", "スポーツ", "関連記事", "廃校がパン工房に", "ランキング", "桜の開花",
    "無断転載", "だんろ", "\239\191\189",
  },
}

local function like(row, changes)
  local out = {}
  for key, value in pairs(row) do out[key] = value end
  for key, value in pairs(changes) do out[key] = value end
  return out
end

local PAGES = {
  article = {
    title = "Harbour bridge reopens after eleven years", date = "2025-03-14T08:30:00+00:00",
    language = "en", site = "The Coastal Courier", author = "Ines Marlow",
    has = {
      "Cyclists were the first to cross", "By Ines Marlow",
      "two halves of the town have been joined",
      "41.7 million crowns, a third more", "The eastern pier during the works in 2023.",
      "\n\n## What changes for drivers\n\n", "Lorries above twelve tonnes",
      "\n> We have promised this",
      "said the mayor, Otto Brandvik", "for another two years, on Sundays only",
    },
    lacks = {
      "Skip to the content", "Local headlines", "Weather desk", "Share on", "More on this story",
      "Ferry captain retires", "Filed under", "rain or not", "who pays for the ferry",
      "Most read", "Herring prices", "213 partners", "Accept everything", "All rights reserved",
      "Imprint", "dataLayer",
    },
  },
  blog = {
    title = "Why my sourdough was flat", date = "2024-11-02", language = "en-GB",
    has = {
      "every loaf came out like a discus", "\n1. A thermometer in the fridge, on the middle shelf.",
      "\n2. Half the starter", "\n3. Shaping twice", "Lise's page on cold dough says it",
      "rye, and why it laughs",
    },
    lacks = {
      "A kitchen diary", "About me", "Archive of posts", "Pass it on", "Twitterish", "Bagels",
      "thank you so much", "it sulks", "Leave a reply", "email", "in a fortnight",
      "Knead to know", "Proudly powered",
    },
  },
  forum = {
    title = "Engine stalls when warm",
    has = {
      "gearbox_greta\n", "runs fine for twenty minutes", "> After half an hour in the shade",
      "Classic vapour lock", "old_norbert\n", "below 2.4 ohms", "It was the coil!",
    },
    lacks = {
      "Forum index", "Log in", "Register", "Engines", "Next page", "Quote", "Report post",
      "Who is online", "44 guests", "Board software",
    },
  },
  documentation = {
    title = "Ring buffers",
    has = {
      "fails with SPOOL_FULL; nothing is ever overwritten", "\n## Creating\n",
      "```\nstruct spool *s = spool_new(64);\nif (s == NULL)\n"
        .. "    return spool_errno();   /* no memory */\n```",
      "rounded up to a power of two", "a ring of one item is a mailbox",
      "\nConstant | Value | Meaning\nSPOOL_MAX | 65536 | items in one ring\n",
      "spool_push(ring, item)\n  Adds an item.",
    },
    lacks = {
      "Installing libspool", "Questions people ask", "View page source", "Creating a ring",
      "See also", "Previous chapter", "Copyright 2024", "generator", "¶",
    },
  },
  japanese = like(JAPANESE, { charset = "utf-8" }),
  ["japanese-shift-jis"] = like(JAPANESE, {
    charset = "shift_jis",
    has = { JAPANESE.has[1], JAPANESE.has[5], "価格は①二百円、②三百円です。" },
  }),
  ["japanese-euc-jp"] = like(JAPANESE, { charset = "euc-jp" }),
  recipe = {
    title = "Linsensuppe wie bei Oma", date = "2023-10-05", language = "de",
    has = {
      "schmeckt am zweiten Tag besser", "## Zutaten\n\n- 250 g Tellerlinsen\n- 2 Möhren\n",
      "1. Linsen waschen und in 1,2 Litern Wasser 25 Minuten kochen.", "Prise Zucker abschmecken",
      "Tipp: Wer mag, gibt am Ende",
    },
    lacks = {
      "Privatsphäre", "Kennungen", "dreizehn Monate", "akzeptieren", "Alle Kuchen", "Anzeige",
      "Töpfe kaufen", "Jede Woche", "Postfach", "Erbseneintopf", "Impressum", "Linsen-Stil",
      "schema.org",
    },
  },
  tables = {
    title = "Rainfall by station, 2024",
    has = {
      "same gauge type since 1987", "Quarterly totals\nStation | Q1 | Q2 | Q3 | Q4\n",
      "\nAlder Point | 212 | 98 | 77 | 301\n", "Cedar Moor | 340 | 160 | 121 | 402",
      "wettest December on record", "Longest dry spell | 33 days | Birch Lock, from 2 July",
    },
    lacks = { "Bureau home", "Rain maps", "Terms of use", "Raw data", "Contact the bureau" },
  },
  ["layout-tables"] = {
    title = "The Pigeon Fanciers' Home Page",
    has = {
      "We keep forty-two birds of four breeds", "September.\n\nThe longest race", '"Contessa"',
      "do not feed it bread", "Saturdays from 2 to 5",
    },
    lacks = { "Club news", "Loft plans", "guestbook", "Web ring", "Back to top", "webmaster",
      " | " },
  },
  malformed = {
    title = "Notes from the tide pool",
    has = {
      "A pool is a small sea with walls", "everything in it starts over.\n\nLimpets",
      "shell & rock fit", "5 < 6 of them", "\n## What we counted\n", "\n- 7 shore crabs",
      "2 blennies", "which ended the series. rather abruptly", "Depth | 40 cm\nSalt | 34 per mille",
    },
    lacks = { "Second page", "Third page", "free to copy", "class=" },
  },
  hidden = {
    title = "How glass is blown",
    has = {
      "behaves like honey that has somewhere to be", "middle of the gather. Then the piece",
      "an oven called a lehr",
    },
    lacks = {
      "written by a script", "secret", "tracking pixel", "editor's remark", "Keyword stuffing",
      "repeats the heading", "draft paragraph", "template", "inline", "screen readers",
      "Icon of a furnace", "drawing", "Option number", "typed by", "support frames",
    },
  },
  wiki = {
    title = "Larkmoor Canal",
    has = {
      "Length | 38.5 km\nLocks | 17\nOpened | 4 June 1812",
      "The Larkmoor Canal is a narrow canal in the north of Fenshire.", "basin at Dunholt.",
      "\n\n## History\n\nWork began in 1807", "Mary Thorne", "212,000 tons", "\n\n## Today\n\n",
      "long-distance walk",
    },
    lacks = {
      "free encyclopedia", "Contents", "1 History", "edit", "[1]", "Canals of Fenshire",
      "Bleak Arm",
      "Categories", "Navigation menu", "Random article", "Donate", "last edited", "free licence",
    },
  },
}

describe("a page", function()
  for name, expected in pairs(PAGES) do
    it("gives its text and not what is around it: " .. name, function()
      local got = assert(page.parse(fixture(name), "text/html"))
      for _, text in ipairs(expected.has) do
        assert.truthy(("\n" .. got.text .. "\n"):find(text, 1, true),
          ("%q is missing in:\n%s"):format(text, got.text))
      end
      for _, text in ipairs(expected.lacks) do
        assert.falsy(got.text:find(text, 1, true), ("%q is in:\n%s"):format(text, got.text))
      end
      for _, field in ipairs { "title", "date", "language", "site", "author", "charset" } do
        if expected[field] then assert.equal(expected[field], got[field]) end
      end
    end)

    it("has in its file most of what its text must not have: " .. name, function()
      local bytes = fixture(name)
      local whole = assert(core.to_utf8(bytes, ({ ["japanese-shift-jis"] = "CP932",
        ["japanese-euc-jp"] = "EUC-JP" })[name] or "UTF-8"))
      local found = 0
      for _, text in ipairs(expected.lacks) do
        if whole:find(text, 1, true) then found = found + 1 end
      end
      assert.truthy(found >= #expected.lacks * 0.75, ("only %d of %d are in the file"):format(found,
        #expected.lacks))
    end)
  end

  it("without text has none", function()
    local got = assert(page.parse(fixture("empty"), "text/html"))
    assert.equal("", got.text)
    assert.equal("Dashboard", got.title)
  end)

  it("of links alone keeps them", function()
    local items = {}
    for i = 1, 20 do
      items[i] = ("<li><a href='/%d'>Story number %d of the day</a></li>"):format(i, i)
    end
    local got = assert(page.parse("<body><ul>" .. table.concat(items) .. "</ul></body>"))
    assert.matches("- Story number 20 of the day", got.text, 1, true)
  end)

  it("inside an unclosed <nav> is found all the same", function()
    local got = assert(page.parse("<body><nav><div><a href=/>Start</a></nav><main><p>"
      .. ("The main text of the page stands here. "):rep(10) .. "</p></main></body>", "text/html"))
    assert.matches("The main text of the page", got.text, 1, true)
  end)

  it("with a body that has a word of menus in its class is kept", function()
    local got = assert(page.parse("<body class='nav menu modal'><div class='sidebar-layout'><p>"
      .. ("One sentence more, and then another one. "):rep(10) .. "</p></div></body>", "text/html"))
    assert.matches("One sentence more", got.text, 1, true)
  end)

  it("in plain text is taken as it is", function()
    local got = assert(page.parse("\n  first\r\nsecond <b>\n\n", "text/plain; charset=utf-8"))
    assert.equal("  first\nsecond <b>", got.text)
  end)

  local refused = {
    { "image/png", "\137PNG\r\n\26\n\0\0" },
    { "application/pdf", "%PDF-1.7" },
    { nil, "\127ELF\1\1\1\0\0\0" },
    { "application/octet-stream", "PK\3\4\0\0" },
  }
  for _, case in ipairs(refused) do
    it("is refused when it is none: " .. tostring(case[1]), function()
      local got, err = page.parse(case[2], case[1])
      assert.is_nil(got)
      assert.equal("protocol", err.kind)
      assert.matches(case[1] or "binary data", tostring(err), 1, true)
    end)
  end

  it("that is nested without end, or broken at any byte, does no harm", function()
    assert(page.parse(("<div><b>"):rep(20000) .. "deep down", "text/html"))
    assert.matches("deep down", assert(page.parse(("<div>"):rep(300) .. "deep down")).text, 1, true)
    local bytes = fixture("article")
    for i = 1, #bytes, 61 do assert(page.parse(bytes:sub(1, i), "text/html")) end
    for i = 1, #bytes, 61 do
      assert(page.parse(bytes:sub(1, i) .. "\255<\0>" .. bytes:sub(i + 7), "text/html"))
    end
  end)
end)

describe("the charset of a page", function()
  local TEXT = "<p>日本語の文章です。</p>"
  local SJIS = "<p>\147\250\150\123\140\234\130\204\149\182\143\205\130\197\130\183\129\66</p>"
  local JIS = "<p>\27$BF|K\\8l$NJ8>O$G$9!#\27(B</p>"
  local EUC = "<p>\198\252\203\220\184\236\164\206\202\184\190\207\164\199\164\185\161\163</p>"
  local UTF16 = (TEXT:gsub("[%z\1-\127\194-\244][\128-\191]*", function(char)
    local a, b, c = char:byte(1, 3)
    local code = c and (a - 224) * 4096 + (b - 128) * 64 + (c - 128) or a
    return string.char(math.floor(code / 256), code % 256)
  end))
  local META = "<html><head><!-- <meta charset=utf-16> --><meta charset='%s'></head>"
  local EQUIV = '<META HTTP-EQUIV="content-type" CONTENT="text/html; CHARSET=%s">'
  local cases = {
    { "HTTP's", SJIS, "text/html; charset=Shift_JIS" },
    { "HTTP's in quotes", EUC, 'text/html;Charset="x-euc-jp"' },
    { "HTTP's before the page's", META:format("euc-jp") .. SJIS, "text/html; charset=x-sjis" },
    { "the page's", META:format("euc-jp") .. EUC, "text/html" },
    { "the page's http-equiv", EQUIV:format("Windows-31J") .. SJIS, "text/html" },
    { "of 7 bits", EQUIV:format("iso-2022-jp") .. JIS, "text/html" },
    { "of XHTML", "<?xml version='1.0' encoding='Shift_JIS'?><html><body>" .. SJIS, "text/html" },
    { "a mark's before HTTP's", "\239\187\191" .. TEXT, "text/html; charset=Shift_JIS" },
    { "UTF-16 with a mark", "\254\255" .. UTF16, "text/html" },
    { "UTF-16 without one", UTF16, "text/html" },
    { "guessed: UTF-8", TEXT, "text/html" },
    { "guessed: 7 bits", JIS, "text/html" },
    { "guessed by the language", "<html lang=ja>" .. EUC, "text/html" },
    { "that nobody knows", TEXT, "text/html; charset=klingon" },
    { "claimed to be UTF-16 in ASCII", META:format("utf-16") .. TEXT, "text/html" },
  }
  for _, case in ipairs(cases) do
    it("is followed: " .. case[1], function()
      assert.equal("日本語の文章です。", assert(page.parse(case[2], case[3])).text)
    end)
  end

  it("is windows-1252 where it is called iso-8859-1, or nothing and not UTF-8", function()
    assert.equal("\226\128\156caf\195\169\226\128\157",
      page.parse("<p>\147caf\233\148</p>", "text/html; charset=ISO-8859-1").text)
    assert.equal("caf\195\169", page.parse("<p>caf\233</p>", "text/html").text)
  end)

  it("leaves a mark where bytes have no meaning", function()
    assert.equal("a\239\191\189b", page.parse("<p>a\255b</p>", "text/html; charset=utf-8").text)
    assert.same({ "a\239\191\189b", 1 }, { core.to_utf8("a\255b", "UTF-8") })
    assert.same({ "a\239\191\189", 1 }, { core.to_utf8("a\227\129", "UTF-8") })
    local text, problem = core.to_utf8("a", "klingon")
    assert.is_nil(text)
    assert.matches("klingon", problem, 1, true)
  end)
end)

describe("an address in a page", function()
  -- of RFC 3986, 5.4
  local base = "http://a/b/c/d;p?q"
  for reference, expected in pairs {
    ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/",
    ["/g"] = "http://a/g", ["//g"] = "http://g/", ["?y"] = "http://a/b/c/d;p?y",
    ["g?y"] = "http://a/b/c/g?y", ["#s"] = "http://a/b/c/d;p?q", [""] = "http://a/b/c/d;p?q",
    [".."] = "http://a/b/", ["../g"] = "http://a/b/g", ["../../g"] = "http://a/g",
    ["../../../g"] = "http://a/g", ["g;x=1/../y"] = "http://a/b/c/y", ["."] = "http://a/b/c/",
    ["https://h/x/../y?z#f"] = "https://h/y?z", ["g?y/./x"] = "http://a/b/c/g?y/./x",
  } do
    it(("is resolved: %q"):format(reference), function()
      assert.equal(expected, source.resolve(base, reference))
    end)
  end
end)

describe("a page that is fetched", function()
  after_each(function()
    support.close_all()
    support.remove_all()
    collectgarbage()
  end)

  local function html(body, headers)
    local all = { { "Content-Type", "text/html" } }
    for _, header in ipairs(headers or {}) do all[#all + 1] = header end
    return support.http(200, all, body)
  end

  local TIMES = { connect_timeout = 5, first_byte_timeout = 5, timeout = 10, max_retries = 0 }

  it("comes with its address, asked for without a key and without an encoding", function()
    local s = support.serve { support.http(200,
      { { "Content-Type", "text/html; charset=Shift_JIS" } }, "<p>\147\250\150\123</p>") }
    local got = assert(page.open(s.origin .. "/a b/é?q=ü#part", TIMES))
    assert.equal("日本", got.text)
    assert.equal(s.origin .. "/a%20b/%C3%A9?q=%C3%BC", got.url)
    local request = s:requests()[1]
    assert.equal("GET /a%20b/%C3%A9?q=%C3%BC HTTP/1.1", request.line)
    assert.equal("identity", request.named["accept-encoding"])
    assert.is_nil(request.named.authorization)
    assert.is_nil(request.named.cookie)
    assert.is_nil(request.named.referer)
  end)

  it("is followed to where it has gone, a few times", function()
    local other = support.serve { html "<p>arrived</p>" }
    local s = support.serve { {
      support.http(302, { { "Location", "second?x=1" } }, ("moved "):rep(30000)), { close = true },
    }, { support.http(301, { { "Location", "/../third" } }), { expect_request = true },
      support.http(307, { { "Location", other.origin .. "/höher" } }) } }
    local got = assert(page.open(s.origin .. "/first/page", TIMES))
    assert.equal("arrived", got.text)
    assert.equal(other.origin .. "/h%C3%B6her", got.url)
    local lines = {}
    for i, request in ipairs(s:requests()) do lines[i] = request.target end
    assert.same({ "/first/page", "/first/second?x=1", "/third" }, lines)
  end)

  for name, location in pairs {
    ["round in a circle"] = "/again", ["to a file"] = "file:///etc/passwd", ["nowhere"] = "",
  } do
    it("is not followed " .. name, function()
      local s = support.serve { support.http(302, { { "Location", location } }) }
      local got, err = page.open(s.origin .. "/again", TIMES)
      assert.is_nil(got)
      assert.equal("redirect", err.kind)
      assert.truthy(#s:requests() <= 6)
    end)
  end

  local function with(opts)
    local all = {}
    for _, t in ipairs { TIMES, opts } do
      for name, value in pairs(t) do all[name] = value end
    end
    return all
  end

  -- Through a proxy, names are of the outside: it says where `location` is.
  local function outside(location)
    local proxy = support.serve { support.http(302, { { "Location", location } }),
      html "<p>from outside</p>" }
    local got, err = page.open("http://public.example/page", with { proxy = proxy.origin })
    return got, err, proxy
  end

  it("is not followed from outside to this machine or a private network", function()
    local s = support.serve { html "<p>the inside</p>" }
    local port = s.origin:match("%d+$")
    for _, host in ipairs { "127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "127.1",
      "2130706433", "0x7f.1", "017700000001", "0", "[::1]", "[::ffff:127.0.0.1]",
      "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]",
      "[fd00::1]", "%31%32%37.0.0.1" } do
      local got, err, proxy = outside("http://" .. host .. ":" .. port .. "/secret")
      assert.is_nil(got, host)
      assert.equal("redirect", err.kind, host)
      assert.matches("this machine or to a private network", err.message, 1, true)
      assert.matches(host, err.message, 1, true)
      assert.equal(1, #proxy:requests(), host)
    end
    assert.equal(0, #s:requests())
  end)

  it("to a long address is told in a message of the usual length", function()
    local _, err = outside("http://10.0.0.1/" .. ("x"):rep(3000))
    assert.equal("redirect", err.kind)
    assert.is_true(#err.message <= 500, #err.message)
    assert.matches("http://10.0.0.1/x", err.message, 1, true)
    assert.matches("private network", err.message, 1, true)
  end)

  it("is followed from outside to outside, and inside where that is allowed", function()
    local s = support.serve { html "<p>the inside</p>" }
    local got, _, proxy = outside("http://other.example/page")
    assert.equal("from outside", got.text)
    assert.equal("http://other.example/page", got.url)
    assert.matches("^GET http://other.example/page ", proxy:requests()[2].line)
    proxy = support.serve { support.http(302, { { "Location", s.origin .. "/x" } }) }
    got = assert(page.open("http://public.example/",
      with { proxy = proxy.origin, allow_unsafe_redirects = true }))
    assert.equal("the inside", got.text)
  end)

  it("stays outside once it was there, whoever sends it on", function()
    local s = support.serve { html "<p>the inside</p>" }
    local proxy = support.serve { support.http(302, { { "Location", "/again" } }),
      support.http(302, { { "Location", "//other.example/" } }),
      support.http(302, { { "Location", s.origin } }) }
    local got, err = page.open("http://public.example/page", with { proxy = proxy.origin })
    assert.is_nil(got)
    assert.equal("redirect", err.kind)
    assert.equal(3, #proxy:requests())
    assert.equal(0, #s:requests())
  end)

  it("is not followed from https to http unless that is allowed", function()
    local plain = support.serve { html "<p>plain</p>" }
    local s = support.serve({ support.http(302, { { "Location", plain.origin } }) },
      { tls = "good" })
    local url = s.origin:gsub("127%.0%.0%.1", "localhost")
    for _, from in ipairs { url, (url:gsub("^https", "HTTPS")) } do
      local got, err = page.open(from, with { ca_file = support.ca_file })
      assert.is_nil(got)
      assert.equal("redirect", err.kind)
      assert.matches("from https to http", err.message, 1, true)
    end
    assert.equal(0, #plain:requests())
    local got = page.open(url, with { ca_file = support.ca_file, allow_unsafe_redirects = true })
    assert.equal("plain", got.text)
  end)

  -- A name that no spelling gives away: this machine's, where it is one of loopback.
  local function own_name()
    local pipe = io.popen("getent ahostsv4 \"$(hostname)\" 2>/dev/null; hostname")
    local text = pipe:read("*a")
    pipe:close()
    return text:find("^127%.0%.0%.1%s") and text:match("(%S+)%s*$")
  end

  it("goes on at its own host where a proxy may hide that this is inside", function()
    local name = own_name()
    if not name then return pending("this machine's name is no name of loopback") end
    local s = support.serve { support.http(302, { { "Location", "/next" } }), html "<p>next</p>" }
    local result = support.run_lua([[
      local page = assert(require("chatbot.page").open(arg[1], { timeout = 10 }))
      io.write(page.text)
    ]], { args = { "http://" .. name .. ":" .. s.origin:match("%d+$") .. "/" },
      env = { http_proxy = "http://127.0.0.1:" .. support.dead_port(), no_proxy = name } })
    assert.equal("next", result.out, result.err)
  end)

  it("whose name leads inside is refused when it connects, also on a kept connection", function()
    local name = own_name()
    if not name then return pending("this machine's name is no name of loopback") end
    local s = support.serve { { support.http(200, {}, "first"), { expect_request = true },
      support.http(200, {}, "second") } }
    local url = "http://" .. name .. ":" .. s.origin:match("%d+$") .. "/"
    local settings = with { max_answer_bytes = 1000, max_retries = 2 }
    assert.equal("first", (core.fetch(url, settings):result()).body)
    local reply, err = core.fetch(url, settings, true)
    if reply then reply, err = reply:result() end
    assert.is_nil(reply)
    assert.equal("redirect", err.kind)
    assert.equal(1, err.attempts)
    assert.equal(1, #s:requests())
    s:close()
  end)

  it("inside may lead to others inside", function()
    local other = support.serve { html "<p>other</p>" }
    for _, host in ipairs { "127.0.0.1", "localhost", "127.1" } do
      local s = support.serve { support.http(302, { { "Location", other.origin } }) }
      local got = assert(page.open((s.origin:gsub("127%.0%.0%.1", host)), TIMES))
      assert.equal("other", got.text)
    end
  end)

  it("is refused when it is too large, without reading it all", function()
    local s = support.serve { { support.head(200, { { "Content-Type", "text/html" } }),
      { repeat_bytes = ("<p>text</p>\n"):rep(100), times = 20000 } } }
    local got, err = page.open(s.origin, TIMES)
    assert.is_nil(got)
    assert.equal("limit", err.kind)
    assert.matches("the page is larger than 8388608 bytes", tostring(err), 1, true)
    local small = page.open(s.origin, { max_answer_bytes = 1000, timeout = 10 })
    assert.is_nil(small)
  end)

  local failures = {
    { "that is not there", support.http(404, {}, "<h1>Not found</h1>"), "http" },
    { "that is cut", support.http(200, {}, "<p>half", { length = 500 }), "truncated",
      { close = true } },
    { "that is no page", support.http(200, { { "Content-Type", "image/png" } }, "\137PNG"),
      "protocol" },
    { "that is packed without being asked", html("\31\139", { { "Content-Encoding", "gzip" } }),
      "protocol" },
    { "that never comes", { { stall = true } }, "timeout" },
  }
  for _, case in ipairs(failures) do
    it("is an error: one " .. case[1], function()
      local s = support.serve { { case[2], case[4] } }
      local got, err = page.open(s.origin, { first_byte_timeout = 0.3, max_retries = 0 })
      assert.is_nil(got)
      assert.equal(case[3], err.kind)
      assert.truthy(#tostring(err) > 10)
    end)
  end

  it("is read from a file, and only from what there is", function()
    local dir = support.tmpdir()
    support.write_file(dir .. "/x.html", "<title>T</title><p>in a file</p>")
    local got = assert(page.open(dir .. "/x.html"))
    assert.same({ "T", "in a file" }, { got.title, got.text })
    for _, from in ipairs { dir .. "/none", dir, "ftp://x/y", "https://", "http://a b/",
      "http://u:p@h/" } do
      local none, err = page.open(from, TIMES)
      assert.is_nil(none, from)
      assert.equal("config", err.kind, from)
    end
  end)

  it("needs nothing to be required before it", function()
    local s = support.serve { html "<p>alone</p>" }
    local got = support.run_lua(([[print(require("chatbot.page").open(%q).text)]]):format(s.origin),
      { timeout = 10, env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } })
    assert.same({ 0, "alone\n" }, { got.status, got.out }, got.err)
  end)

  it("does not block a coroutine, nor another one", function()
    local s = support.serve { { { sleep = 0.2 }, html "<p>slow page</p>" } }
    local done, turns = {}, 0
    for i = 1, 3 do
      local co
      co = coroutine.create(function() done[i] = assert(page.open(s.origin, TIMES)).text end)
      done[co] = true
    end
    local limit = support.now() + 8
    local function all() return done[1] and done[2] and done[3] end
    while not all() and support.now() < limit do
      for co in pairs(done) do
        if type(co) == "thread" and coroutine.status(co) == "suspended" then
          local before = support.now()
          assert(coroutine.resume(co))
          assert.truthy(support.now() - before < 0.1)
        end
      end
      turns = turns + 1
      chatbot.poll(0.01)
    end
    assert.same({ "slow page", "slow page", "slow page" }, { done[1], done[2], done[3] })
    assert.truthy(turns > 3)
  end)
end)
