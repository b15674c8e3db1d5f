-- Goes through all small objects, so that no client profits from asking for one object only.
local requests, index = {}, 0

function init(args)
  local base, objects = args[1], tonumber(args[2])
  for number = 0, objects - 1 do
    requests[number] = wrk.format("GET", string.format("%s/d%04d/f%06d", base, math.floor(number / 100), number))
  end
end

function request()
  index = (index + 1) % (#requests + 1)
  return requests[index]
end
