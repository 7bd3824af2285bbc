-- words.lua - what the names of an element say of it.
--
-- Classes and ids are made of words ("siteFooter", "site-footer"), and some words
-- say that an element stands beside the text. How much they are worth differs:
--
--   "always"     wherever the word stands: cookies, advertisements
--   "often"      unless the name is that of a container ("sidebar-content")
--   "comments"   what readers have written below
--   "sometimes"  where there is little text or much of it is links

local M = {}

---@param words string
---@return table<string, boolean>
function M.set(words)
  local out = {}
  for word in words:gmatch("%S+") do out[word] = true end
  return out
end

local set = M.set

local ALWAYS = set [[
  cookie cookies consent gdpr ccpa onetrust cookiebanner cookiebar newsletter advert
  advertisement advertising adsense taboola outbrain noprint editsection navbox catlinks
  printfooter
]]
local OFTEN = set [[
  nav navbar navigation navi gnav gnavi breadcrumb breadcrumbs sidebar sidemenu footer
  masthead share sharing sharebar social sns related recommend recommended recommendation
  recommendations promo promotion ad ads sponsor sponsored subscribe subscription popup
  popover modal overlay lightbox pagination pager paging widget widgets skiplink skip jump
  ranking trending banner relatedposts sharedaddy paywall gallery slideshow carousel
  vjs jwplayer mejs plyr
]]
local SOMETIMES = set [[
  menu submenu menus toc popular login signin signup toolbar tags tagcloud sitemap crumbs
  topics header actions controls tools buttons
]]
-- What pages call their text.
local TEXT = set [[
  article articlebody entry post postentry story hentry blogpost postbody content
]]
local COMMENTS = set "comment comments disqus respond replies commentlist commentsbox"
local NEUTRAL_FIRST = set "has with no without is js show enable"
local NEUTRAL_LAST = set [[
  content contents main article body text entry wrapper wrap container layout page grid
]]
local INVISIBLE = set "visually-hidden sr-only screen-reader-text visuallyhidden d-none"

---The words of a name in lower case: "siteFooter", "site-footer" -> {"site", "footer"}.
---@param name string
---@return string[]
function M.split(name)
  local words = {}
  name = name:gsub("(%l)(%u)", "%1 %2"):lower()
  for word in name:gmatch("%w+") do words[#words + 1] = word end
  return words
end

---Whether a name is one that pages give to their text.
---@param names string
---@return boolean
function M.is_text(names)
  for _, word in ipairs(M.split(names)) do
    if TEXT[word] then return true end
  end
  return false
end

---How strongly classes say that an element stands beside the text.
---@param names string
---@return "always" | "often" | "sometimes" | "comments" | nil
function M.hint(names)
  local found
  for name in names:gmatch("%S+") do
    if INVISIBLE[name:lower()] then return "always" end
    local words = M.split(name)
    local neutral = #words > 1 and (NEUTRAL_FIRST[words[1]] or NEUTRAL_LAST[words[#words]])
    for _, word in ipairs(words) do
      if ALWAYS[word] then return "always" end
      if not neutral then
        if OFTEN[word] then
          found = "often"
        elseif COMMENTS[word] then
          found = found or "comments"
        elseif SOMETIMES[word] then
          found = found or "sometimes"
        end
      end
    end
  end
  return found
end

return M
