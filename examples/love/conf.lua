function love.conf(t)
  t.identity = "chatbot-tavern"
  t.version = "11.4"
  t.window.title = "The tavern"
  t.window.width, t.window.height = 960, 540
  t.modules.audio = false
  t.modules.sound = false
  t.modules.joystick = false
  t.modules.physics = false
  t.modules.video = false
end
