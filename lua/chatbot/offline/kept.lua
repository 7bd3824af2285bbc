-- The responses that are kept, for `previous_response_id` and to be asked for again: the
-- newest, so many as there is room for. They are gone with the process.

local M = {}

local Kept = {}
Kept.__index = Kept

---@param count_max integer
---@param bytes_max integer
function M.new(count_max, bytes_max)
  return setmetatable({ _by_id = {}, _items = {}, _order = {}, _bytes = 0, _count_max = count_max,
    _bytes_max = bytes_max }, Kept)
end

---@param id string
---@return table?
function Kept:get(id)
  return self._by_id[id]
end

---An item of the output of a response that is kept.
---@param id string
---@return table?
function Kept:item(id)
  return self._items[id]
end

---@param id string
---@return boolean whether it was there
function Kept:remove(id)
  local entry = self._by_id[id]
  if not entry then return false end
  self._by_id[id] = nil
  for _, item in ipairs(entry.response.output) do self._items[item.id] = nil end
  self._bytes = self._bytes - entry.bytes
  for i, other in ipairs(self._order) do
    if other == id then
      table.remove(self._order, i)
      break
    end
  end
  return true
end

---@param id string
---@param entry table {response, items: of the conversation with its output, bytes: its cost}
function Kept:put(id, entry)
  self._by_id[id] = entry
  for _, item in ipairs(entry.response.output) do self._items[item.id] = item end
  self._order[#self._order + 1] = id
  self._bytes = self._bytes + entry.bytes
  while #self._order > self._count_max or self._bytes > self._bytes_max do
    self:remove(self._order[1])
  end
end

return M
