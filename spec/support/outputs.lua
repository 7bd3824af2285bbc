--- Answers of the Responses API drawn at random: items of several parts, of each of
--- which some events come and some do not, as servers leave them out, in any order that
--- leaves no doubt what they are about; and what the answer has to be.
--
--   local outputs = require "spec.support.outputs"
--   local drawn = outputs.draw(seed)
--   drawn.events               -- tables: the events of a stream
--   drawn.text, drawn.refusal, drawn.reasoning  -- what is to come of them, or nil
--   drawn.naming               -- how items are named; see NAMINGS

local generator = require "spec.machines.random"
local support = require "spec.support"

local array = support.array

local outputs = {}

-- What there is to know an item by:
--   both      its number and its id
--   index     its number
--   id        its id
--   changing  its number, and another id in each event
--   items     an id where the whole item is, nothing in the events of its parts
--   nothing   that it was opened last
local NAMINGS = { "both", "index", "id", "changing", "items", "nothing" }

-- Texts: their events, the number of the part there, where a whole one is, the type of
-- a part, and the list that has it.
local KINDS = {
  text = { "output_text", "content_index", "text", "output_text", "content" },
  refusal = { "refusal", "content_index", "refusal", "refusal", "content" },
  summary = { "reasoning_summary_text", "summary_index", "text", "summary_text", "summary" },
  thought = { "reasoning_text", "content_index", "text", "reasoning_text", "content" },
}

local Draw = {}
Draw.__index = Draw

function Draw:piece()
  self.pieces = self.pieces + 1
  return self.pieces .. (self.maybe(20) and "\n\226\130\172 " or ", ")
end

-- Events of items with no number and no id are about the one that was opened last.
function Draw:is_bare() return self.naming == "items" or self.naming == "nothing" end

function Draw:id(item)
  if self.naming == "changing" then
    self.ids = self.ids + 1
    return "id" .. self.ids
  end
  return item.id
end

-- Completes an event, which is about this item, or a part of it.
function Draw:about(item, event, part)
  local by = self.naming
  if by == "both" or by == "index" or by == "changing" then event.output_index = item.index end
  if not event.item and not self:is_bare() then event.item_id = self:id(item) end
  if part and item.counted then event[KINDS[part.kind][2]] = part.index end
  return event
end

local function part_of(part, text)
  local names = KINDS[part.kind]
  return { type = names[4], [names[3]] = text }
end

function Draw:whole(item, bare)
  local out = { type = item.type, id = self:id(item), content = array {} }
  if item.type == "reasoning" then out.summary = array {} else out.role = "assistant" end
  for _, part in ipairs(bare and {} or item.parts) do
    local list = out[KINDS[part.kind][5]]
    list[#list + 1] = part_of(part, part.text)
  end
  return out
end

function Draw:part(item, kind, index)
  local part = { kind = kind, index = index, item = item, pieces = {} }
  for i = 1, self.random(3) do part.pieces[i] = self:piece() end
  part.text = table.concat(part.pieces)
  item.parts[#item.parts + 1] = part
end

function Draw:item(i)
  local item = { index = i - 1, parts = {}, type = self.maybe(60) and "message" or "reasoning" }
  if self.naming ~= "index" and self.naming ~= "nothing" then item.id = "item" .. i end
  item.counted = self.maybe(70)
  if item.type == "message" then
    for k = 1, self.random(3) do
      self:part(item, self.maybe(80) and "text" or "refusal", k - 1)
    end
  else
    local both = self.maybe(20)
    local kind = self.maybe(70) and "summary" or "thought"
    for k = 1, self.random(3) do self:part(item, kind, k - 1) end
    for k = 1, both and self.random(2) or 0 do
      self:part(item, kind == "summary" and "thought" or "summary", k - 1)
    end
  end
  return item
end

-- The events of a part, and what each brings of it. `must`: they tell it from others.
function Draw:events_of_part(item, part, must)
  local names, out = KINDS[part.kind], {}
  local begins = must == "begins" or self.maybe(50)
  local pieces = must == "ends" or self.maybe(60)
  local said, over = self.maybe(50), self.maybe(50)
  if must == "ends" then said = said or not over end
  local function add(event, brings, whole)
    event = self:about(item, event, part)
    out[#out + 1] = { event = event, part = part, brings = brings, whole = whole }
  end
  local name = part.kind == "summary" and "reasoning_summary_part" or "content_part"
  if begins then add { name .. ".added", part = part_of(part, "") } end
  for i = 1, pieces and #part.pieces or 0 do
    if self.maybe(10) then add { names[1] .. ".delta", delta = "" } end
    add({ names[1] .. ".delta", delta = part.pieces[i] }, part.pieces[i])
  end
  if said then add({ names[1] .. ".done", [names[3]] = part.text }, part.text, true) end
  if over then add({ name .. ".done", part = part_of(part, part.text) }, part.text, true) end
  return out
end

-- One list of these, each in its order.
function Draw:merge(lists)
  local out, left, at = {}, {}, {}
  for _, list in ipairs(lists) do
    if #list > 0 then left[#left + 1], at[list] = list, 1 end
  end
  local k = 1
  while #left > 0 do
    if self.maybe(40) then k = self.random(#left) end -- in runs
    k = math.min(k, #left)
    local list = left[k]
    out[#out + 1] = list[at[list]]
    at[list] = at[list] + 1
    if at[list] > #list then table.remove(left, k) end
  end
  return out
end

local function join(lists)
  local out = {}
  for _, list in ipairs(lists) do
    for _, one in ipairs(list) do out[#out + 1] = one end
  end
  return out
end

-- `open`: an item of this type is not over, and what has no name would be about it.
function Draw:events_of_item(item, open)
  local bare = self:is_bare()
  local over, begins = self.maybe(60), self.maybe(60)
  if bare and (open or not over) then begins = true end
  if self.naming ~= "nothing" and self.maybe(10) then return {}, open end -- at the end alone
  local lists, must = {}, nil
  if not item.counted then must = self.maybe(70) and "begins" or "ends" end
  for i, part in ipairs(item.parts) do lists[i] = self:events_of_part(item, part, must) end
  local out = item.counted and self:merge(lists) or join(lists)
  if begins then
    table.insert(out, 1, { event = self:about(item, { "output_item.added",
      item = self:whole(item, true) }) })
  end
  if over then
    out[#out + 1] = { event = self:about(item, { "output_item.done", item = self:whole(item) }),
      all = item }
  end
  return out, open or not over
end

-- What the answer gets: each part from the first that has it.
function Draw:take(part, brings, whole)
  if whole and part.came then return end
  part.came = true
  local to = (part.kind == "summary" or part.kind == "thought") and "reasoning" or part.kind
  if to == "reasoning" then
    if self.reasoning and self.last ~= part then self.reasoning = self.reasoning .. "\n\n" end
    self.last = part
  end
  self[to] = (self[to] or "") .. brings
end

function Draw:take_item(item)
  for _, list in ipairs { "summary", "content" } do
    for _, part in ipairs(item.parts) do
      if KINDS[part.kind][5] == list then self:take(part, part.text, true) end
    end
  end
end

-- The last event. Where all has come it may have no items, or no thoughts, if that
-- leaves no doubt.
function Draw:last_event(items)
  local all, output = true, {}
  for _, item in ipairs(items) do
    for _, part in ipairs(item.parts) do all = all and part.came end
  end
  if not (all and self.maybe(50)) then
    local thoughts = not (all and self.maybe(50))
    for _, item in ipairs(items) do
      if thoughts or item.type == "message" then
        output[#output + 1] = self:whole(item)
        self:take_item(item)
      end
    end
  end
  return { "completed", response = { id = "resp_1", status = "completed", output = array(output) } }
end

--- An answer, another one for each seed (1 or more).
---@param seed integer
---@return {events: table[], naming: string, text: string?, refusal: string?, reasoning: string?}
function outputs.draw(seed)
  local random, chance, pick = generator(seed)
  local draw = setmetatable({ random = random, maybe = chance, naming = pick(NAMINGS),
    pieces = 0, ids = 0 }, Draw)
  local items, lists, open = {}, { message = {}, reasoning = {} }, {}
  for i = 1, draw.random(4) do
    local item = draw:item(i)
    local events, left = draw:events_of_item(item, open[item.type])
    items[i], open[item.type] = item, left
    table.insert(lists[item.type], events)
  end
  -- what has no name goes to the last of its kind: these do not interleave
  local merged = draw:is_bare() and draw:merge { join(lists.message), join(lists.reasoning) }
    or draw:merge(join { lists.message, lists.reasoning })
  local events = {}
  for i, one in ipairs(merged) do
    events[i] = one.event
    if one.all then draw:take_item(one.all) end
    if one.brings then draw:take(one.part, one.brings, one.whole) end
  end
  events[#events + 1] = draw:last_event(items)
  return { events = events, naming = draw.naming, text = draw.text, refusal = draw.refusal,
    reasoning = draw.reasoning }
end

return outputs
