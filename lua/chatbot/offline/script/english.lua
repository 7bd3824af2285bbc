-- What ELIZA says in English: rules, and what to say where none fits. Data only, this
-- project's own.

local ABOUT = "I am no language model. I am a small program of the chatbot package that answers "
  .. "offline by pattern rules, in the manner of ELIZA. A real model needs a key in the "
  .. "environment (OPENAI_API_KEY, for one) or a local server."

-- The script. A rule is tried on each clause, the first rule of the list wins
-- over the later ones. Patterns see lower-case words with one space around each
-- (also at both ends); %1 in an answer is the captured text, turned round.
-- `keep` remembers the capture for a moment when nothing else fits.
local RULES = {
  {
    about = true,
    " are you an? a%.?i%.? ", " are you ai ", " are you an? [%w ]*bot ",
    " are you an? [%w ]*model ",
    " are you an? [%w ]*machine ", " are you an? [%w ]*computer ", " are you an? [%w ]*program ",
    " are you human ", " are you a human ", " are you a person ", " are you a real ",
    " are you real ",
    " are you [%w ]*gpt", " are you eliza ",
    " model are you ", " model is this ", " what llm ", " which llm ", " language model ",
    " who are you ", " what are you $", " what are you really ", " who made you ",
    " what is your name ",
    " your name $", " who am i talking ", " who am i speaking ", " tell me about yourself ",
    " introduce yourself ", " chatgpt ", " large language ",
    answers = {
      "My name is ELIZA, after a program of 1966.",
      "As I said:",
      "It stays that way however often you ask.",
    },
  },
  {
    " bye ", " goodbye ", " good bye ", " see you ", " good night ",
    answers = {
      "Goodbye. It was good to talk with you.",
      "Until the next time. Type quit to leave.",
    },
  },
  {
    " sorry ", " apologi[sz]e ",
    answers = {
      "There is no need to apologise.",
      "What makes you feel that you have to say sorry?",
      "It did not bother me. Please go on.",
    },
  },
  {
    " %d+ ?[%+%-%*/x] ?%d+ ", " calculate ", " plus ", " minus ", " times %d", " multiplied ",
    answers = {
      "I only turn sentences round; a real model is better at numbers. What is the result for?",
      "I cannot do sums. Why does this one matter to you?",
    },
  },
  {
    " remember (.+) $",
    answers = {
      "Do you often think of %1?",
      "What else comes to mind with %1?",
      "Why does %1 come back to you just now?",
    },
  },
  {
    " i dreamed (.+) $", " i dreamt (.+) $", " i had a dream (.+) $",
    answers = {
      "Really, %1? What was it like to wake up?",
      "Have you ever imagined %1 while you were awake?",
    },
  },
  {
    " dreams? ",
    answers = {
      "What does that dream suggest to you?",
      "Who appears in your dreams?",
      "Do your dreams stay with you during the day?",
    },
  },
  {
    " if (.+) $",
    answers = {
      "How likely do you think it is that %1?",
      "And what would follow if %1?",
      "Do you wish that %1?",
    },
  },
  {
    " i need to (.+) $",
    answers = {
      "What keeps you from that: to %1?",
      "Who says that you need to %1?",
      "Suppose you did not %1. What then?",
    },
  },
  {
    " i want to (.+) $", " i would like to (.+) $", " i'd like to (.+) $", " i wish to (.+) $",
    keep = "You said that you want to %1.",
    answers = {
      "What would change for you if you could %1?",
      "How long have you wanted to %1?",
      "What is the first step if you want to %1?",
    },
  },
  {
    " i want (.+) $", " i need (.+) $", " i wish i had (.+) $", " i would like (.+) $",
    keep = "You spoke of wanting %1.",
    answers = {
      "What would it mean to you to have %1?",
      "Why is it %1 that you are after?",
      "Suppose you had %1 tomorrow. What would you do?",
    },
  },
  {
    " i feel (.+) $", " i am feeling (.+) $", " i'm feeling (.+) $",
    keep = "You told me that you feel %1.",
    answers = {
      "Since when do you feel %1?",
      "What were you doing when you began to feel %1?",
      "Do you often feel %1?",
    },
  },
  {
    " i am [%w ]*(sad) ", " i am [%w ]*(unhappy) ", " i am [%w ]*(depressed) ",
    " i am [%w ]*(tired) ",
    " i am [%w ]*(lonely) ", " i am [%w ]*(afraid) ", " i am [%w ]*(worried) ",
    " i am [%w ]*(angry) ",
    " i am [%w ]*(anxious) ",
    keep = "You mentioned being %1.",
    answers = {
      "I am sorry to hear that you are %1. What happened?",
      "What would help you to be less %1?",
      "Who knows that you are %1?",
    },
  },
  {
    " i am [%w ]*(happy) ", " i am [%w ]*(glad) ", " i am [%w ]*(excited) ", " i am [%w ]*(proud) ",
    answers = {
      "That is good to hear. What made you %1?",
      "Who shares it with you when you are %1?",
    },
  },
  {
    " i am (.+) $",
    answers = {
      "How long have you been %1?",
      "What is it like to be %1?",
      "Did you expect to be %1?",
    },
  },
  {
    " i can't (.+) $", " i cannot (.+) $", " i can not (.+) $", " i could not (.+) $",
    " i couldn't (.+) $",
    keep = "Earlier there was something you could not do: %1.",
    answers = {
      "What stands in the way when you try to %1?",
      "Have you ever been able to %1?",
      "What would it take for you to %1?",
    },
  },
  {
    " i do not (.+) $", " i don't (.+) $", " i did not (.+) $", " i didn't (.+) $",
    answers = {
      "Would you rather %1?",
      "Is there a reason that you do not %1?",
      "Does it trouble you not to %1?",
    },
  },
  {
    " i think that (.+) $", " i think (.+) $", " i believe that (.+) $", " i believe (.+) $",
    " i guess (.+) $",
    answers = {
      "How sure are you that %1?",
      "What makes you think that %1?",
      "Would others agree that %1?",
    },
  },
  {
    " i like (.+) $", " i love (.+) $", " i enjoy (.+) $",
    keep = "You seemed fond of %1.",
    answers = {
      "What is the best thing about %1?",
      "When did you find out that %1 is for you?",
      "With whom do you share %1?",
    },
  },
  {
    " i hate (.+) $", " i dislike (.+) $",
    keep = "There was something you could not stand: %1.",
    answers = {
      "What did %1 ever do to you?",
      "Is there nothing at all to be said for %1?",
    },
  },
  {
    " my (mother)[ '](.*) $", " my (father)[ '](.*) $", " my (mom)[ '](.*) $",
    " my (dad)[ '](.*) $",
    " my (sister)[ '](.*) $", " my (brother)[ '](.*) $", " my (wife)[ '](.*) $",
    " my (husband)[ '](.*) $",
    " my (friend)[ '](.*) $", " my (son)[ '](.*) $", " my (daughter)[ '](.*) $",
    " my (boss)[ '](.*) $",
    " my (family)[ '](.*) $", " my (cat)[ '](.*) $", " my (dog)[ '](.*) $",
    keep = "You brought up your %1.",
    answers = {
      "Tell me more about your %1.",
      "What comes to mind first when you think of your %1?",
      "Has it always been like this with your %1?",
    },
  },
  {
    " because (.+) $",
    answers = {
      "Is that the real reason?",
      "What other reasons might there be?",
      "If %1, what else must be true?",
    },
  },
  {
    " why don't you (.+) $", " why do you not (.+) $",
    answers = {
      "Would it please you if I did %1?",
      "Perhaps I will %1 in good time. Are there things you do not do yourself?",
    },
  },
  {
    " why can't i (.+) $", " why can i not (.+) $",
    answers = {
      "What do you think keeps you from it: to %1?",
      "When did you last try to %1?",
    },
  },
  {
    " can you (.+) $", " could you (.+) $", " will you (.+) $", " would you (.+) $",
    " please (.+) $",
    answers = {
      "With rules as few as mine I can hardly %1. What would you do with the outcome?",
      "You would like me to %1. A real model could; I can only ask why.",
      "Suppose I could %1. What then?",
    },
  },
  {
    " can i (.+) $", " may i (.+) $", " could i (.+) $",
    answers = {
      "Who would stop you if you were to %1?",
      "Do you want to be able to %1?",
    },
  },
  {
    " tell me (.+) $", " explain (.+) $", " write (.+) $", " describe (.+) $",
    " summari[sz]e (.+) $",
    " translate (.+) $",
    answers = {
      "I know nothing of the world; ask a real model for that. What do you hope to hear?",
      "That is beyond a handful of rules. Why does it interest you?",
    },
  },
  {
    " you are (.+) $", " you're (.+) $", " you seem (.+) $",
    answers = {
      "What makes you say that I am %1?",
      "Would you prefer me not to be %1?",
      "Perhaps I am %1. And you?",
    },
  },
  {
    " do you (.+) $",
    answers = {
      "We were speaking of you. Why do you ask?",
      "Would it make a difference if I did?",
      "A program has little of its own. What about yourself?",
    },
  },
  {
    " are you (.+) $",
    answers = {
      "Would you talk to me differently if I were %1?",
      "Why do you ask whether I am %1?",
      "Are you %1 yourself?",
    },
  },
  {
    " my (.+) $",
    keep = "Earlier you mentioned your %1.",
    answers = {
      "Your %1?",
      "Why do you speak of your %1 just now?",
      "Does your %1 matter to somebody else too?",
    },
  },
  {
    " how are you ", " how do you do ", " how is it going ", " how's it going ",
    answers = {
      "A program is always the same. How are you?",
      "As well as rules can be. And yourself?",
    },
  },
  {
    " hello ", " hi ", " hey ", " good morning ", " good evening ", " good afternoon ",
    " greetings ",
    answers = {
      "Hello. What is on your mind?",
      "Hello again. What shall we talk about?",
    },
  },
  {
    " thanks ", " thank you ",
    answers = {
      "You are welcome. Is there more that you want to say?",
      "With pleasure. What else?",
    },
  },
  {
    " always ", " never ", " everybody ", " everyone ", " nobody ", " all the time ",
    answers = {
      "Can you think of one exception?",
      "When, for example?",
      "That is a strong word. Whom do you have in mind?",
    },
  },
  {
    " computers? ", " machines? ", " programs? ", " robots? ", " artificial intelligence ",
    answers = {
      "Do machines worry you?",
      "What do you think machines have to do with it?",
      "Why do you bring up machines?",
    },
  },
  {
    " maybe ", " perhaps ", " probably ",
    answers = {
      "You do not sound quite certain.",
      "What would make you sure?",
    },
  },
  {
    " what ", " who ", " where ", " when ", " how ", " why ", " which ",
    answers = {
      "Why do you ask?",
      "What answer would you like best?",
      "What do you think yourself?",
      "Have you asked anybody else?",
    },
  },
  {
    " yes ", " yeah ", " sure ", " of course ",
    answers = {
      "You seem quite sure.",
      "I see. Can you say a little more?",
      "Good. And what follows from that?",
    },
  },
  {
    " no ", " nope ", " not really ",
    answers = {
      "Why not?",
      "Are you saying no just to be on the safe side?",
      "What would have to happen for a yes?",
    },
  },
}

local FALLBACK = {
  "Please go on.",
  "What does that suggest to you?",
  "I am not sure that I follow. Can you put it in other words?",
  "How do you feel about that?",
  "Tell me more.",
  "Let us stay with that for a moment. Why does it come up now?",
}

local RECALLED = {
  "%s Shall we return to that?",
  "%s Has that to do with what you say now?",
  "%s I wonder whether there is more to it.",
}

return { about = ABOUT .. " ", rules = RULES, fallback = FALLBACK, recalled = RECALLED }
