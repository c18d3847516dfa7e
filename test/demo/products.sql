-- products.sql: what four very different shops have in their catalogues, typed the way shops type:
-- 40 products each, times the sizes and colours they come in.  The queue knows nothing of these tables.

CREATE SCHEMA shop;
CREATE TABLE shop.stores (store text PRIMARY KEY, backlog int NOT NULL);
CREATE TABLE shop.options (kind text, n int, label text, PRIMARY KEY (kind, n));
CREATE TABLE shop.models (store text REFERENCES shop.stores, sku text PRIMARY KEY, kind text, price numeric,
                          title text, description text);

-- How many of its products each shop wants improved: the smallest must not wait for the largest.
INSERT INTO shop.stores VALUES ('velo-nord', 220), ('papertiger', 100), ('green-acre', 60), ('kiln-and-bean', 20);

INSERT INTO shop.options
SELECT kind, n, label
  FROM (VALUES ('wear',  '{black S,black M,black L,navy M,navy L,red XL}'::text[]),
               ('part',  '{black,silver,BLACK matt,gold,raw,red}'),
               ('tyre',  '{28 inch,29 inch,27.5 inch,26 inch,700x32C,700x40C}'),
               ('bike',  '{52 cm blue,54 cm blue,56 cm blue,58 cm green,54 cm green,60 cm black}'),
               ('unit',  '{NEW,2 pcs,set of 3,5 pcs,value pack 10,workshop box 25}'),
               ('paper', '{A5 dotted,A5 lined,A4 dotted,A4 lined,A6 blank,B5 squared}'),
               ('ink',   '{blue,black,green,burgundy,turquoise,grey}'),
               ('book',  '{paperback,hardcover,signed copy,large print,gift edition,2nd edition}'),
               ('plant', '{pot 9 cm,pot 12 cm,2 litre,3 litre,5 litre,bare root}'),
               ('seed',  '{1 sachet,3 sachets,50 g,100 g,250 g,1 kg}'),
               ('tool',  '{standard,long handle,small,LEFT HANDED,kids size,professional}'),
               ('bean',  '{250g whole bean,250g filter grind,500g whole bean,500g espresso grind,1kg whole bean,1kg filter}'),
               ('ware',  '{white,sand,charcoal,sage green,navy,rust}')) AS kinds(kind, labels)
 CROSS JOIN LATERAL unnest(labels) WITH ORDINALITY AS each_one(label, n);

COPY shop.models FROM stdin (DELIMITER '|');
velo-nord|VN-101|wear|49.90|mens cycling jersey short sleeve shirt,cheap jersey MTB road bike|quick dry fabric , 3 back pockets.full zip.  reflective strip on the back
velo-nord|VN-102|wear|89.00|bib shorts women padded gel|8h seat pad, flat seams. silicone at the legs so nothing slips
velo-nord|VN-103|wear|129.00|RAIN JACKET waterproof 10.000mm!!|taped seams, packs into own pocket - long back. hood fits under helmet
velo-nord|VN-104|wear|24.50|winter gloves touchscreen|windproof front fleece inside. works with phone
velo-nord|VN-105|wear|14.90|merino cycling socks high|70% merino, no smell after long rides , reinforced heel
velo-nord|VN-106|wear|79.00|helmet MIPS city commuter e-bike helmet led light|integrated rear light 3 modes. dial fit. 340 g
velo-nord|VN-107|wear|139.00|gravel shoes SPD 2 bolt|stiff but walkable sole. boa closure. size runs small
velo-nord|VN-108|wear|34.00|arm warmers + leg warmers SET thermo|brushed inside. for 5 to 15 degrees
velo-nord|VN-109|part|18.90|bottle cage alu light|38 grams only. fits all bottles with 74mm
velo-nord|VN-110|part|64.00|saddle comfort gel cut out prostate friendly saddle touring trekking|150mm wide, steel rails. free fitting advice in the shop
velo-nord|VN-111|part|42.00|handlebar drop bar gravel 16 degree flare 440mm|31.8 clamp - 6061 aluminium. 290 g
velo-nord|VN-112|part|36.90|STEM 31.8 90mm +/-6°|cnc machined. bolts incl.
velo-nord|VN-113|part|59.00|seatpost 27.2 x 350 carbon|set back 15mm, max 5nm please
velo-nord|VN-114|part|29.90|pedals flat platform nylon sealed bearing|replaceable pins. 9/16 thread. light (330 g the pair)
velo-nord|VN-115|part|84.90|pedals click SPD mtb double sided|adjustable release. cleats included !
velo-nord|VN-116|part|12.50|bar tape cork padded|with end plugs + finish tape. 3 mm thick , easy to clean
velo-nord|VN-117|part|119.00|crankset 46/30 gravel 2x11 172.5|hollow axle. bottom bracket NOT included
velo-nord|VN-118|part|27.00|chain 11 speed 116 links nickel|quick link is in the box, quiet, long life coating
velo-nord|VN-119|part|54.90|cassette 11-34 11 speed|steel sprockets nickel plated, fits shimano hub
velo-nord|VN-120|part|32.00|disc brake rotor 160 mm centerlock|with lock ring. good heat
velo-nord|VN-121|tyre|39.90|gravel tyre tubeless ready puncture protection tire|round shoulders, fast centre. 60tpi. foldable
velo-nord|VN-122|tyre|44.90|road tyre race 320tpi|very low rolling resistance - grip in wet. 245 g
velo-nord|VN-123|tyre|34.90|city tyre reflective e-bike ready 50 km/h|5mm protection layer against glass and nails
velo-nord|VN-124|tyre|49.00|winter tyre with SPIKES 240 studs|steel studs for ice. ride first 40 km slow on tarmac
velo-nord|VN-125|tyre|6.50|inner tube|butyl. valve presta 48mm
velo-nord|VN-126|tyre|219.00|wheel front dynamo hub disc|hand built. 32 spokes , rim alu double wall
velo-nord|VN-127|tyre|58.00|mudguard set full length stainless stays|with rear reflector. fits disc
velo-nord|VN-128|bike|1899.00|GRAVEL BIKE allroad steel frame 2x11 hydraulic|chromoly frame with mounts everywhere, tyre clearance 47mm. assembled + test ride
velo-nord|VN-129|bike|2790.00|e bike trekking mid motor 504wh low step|range up to 120 km. suspension fork,lights , carrier. service after 300 km free
velo-nord|VN-130|bike|1290.00|city bike belt drive 8 speed no maintenance|hub gear, no oil no rust. dynamo light
velo-nord|VN-131|bike|3499.00|road bike carbon disc 12 speed|7.9 kg. internal cables - made for long days
velo-nord|VN-132|bike|999.00|MTB hardtail 29 1x12|120mm fork air. dropper ready. for beginners+
velo-nord|VN-133|unit|9.90|tyre levers nylon|does not scratch the rim
velo-nord|VN-134|unit|11.90|patch kit + sandpaper + glue vulcanising|fits in every saddle bag
velo-nord|VN-135|unit|8.50|chain oil DRY LUBE 100ml wax|for dry weather, stays clean. bio degradable
velo-nord|VN-136|unit|39.00|mini pump 8 bar with hose + gauge|aluminium. bracket for frame included. presta + schrader
velo-nord|VN-137|unit|29.00|multi tool 18 functions chain breaker|hardened steel, 168 g. with torx 25
velo-nord|VN-138|unit|69.90|bike lock folding 90cm level 10|key + 1 spare. holder for frame. 1.1kg
velo-nord|VN-139|unit|54.00|FRONT LIGHT 80 lux usb-c rechargeable|burns 6 h on high, stvzo approved. no glare
velo-nord|VN-140|unit|74.90|handlebar bag waterproof roll top 9l|mounts with 2 straps. welded. map window
papertiger|PT-201|paper|12.90|notebook hardcover 120g paper numbered pages|lies flat, 2 ribbons , pocket in the back.fountain pen friendly
papertiger|PT-202|paper|9.50|bullet journal starter softcover|160 pages. index is already printed
papertiger|PT-203|paper|6.90|spiral notepad recycled|micro perforated. blue angel
papertiger|PT-204|paper|18.00|sketchbook 200 gsm artist drawing pad|for pencil, ink + light wash. acid free
papertiger|PT-205|paper|24.00|WATERCOLOUR BLOCK cold pressed 300g 20 sheets|glued on 4 sides, no stretching needed
papertiger|PT-206|paper|14.50|weekly planner undated desk pad|tear off, 52 weeks. to do list at the side
papertiger|PT-207|paper|7.90|letter paper with envelopes set romantic|10 sheets 10 envelopes cotton paper
papertiger|PT-208|paper|3.20|exercise book school|32 pages.margin left + right
papertiger|PT-209|ink|29.90|fountain pen M nib beginner|steel nib iridium. converter + 2 cartridges incl. also good for left hand
papertiger|PT-210|ink|129.00|fountain pen gold nib 14k F piston|resin body. made by hand, 12 month guarantee. GIFT BOX
papertiger|PT-211|ink|8.90|ink bottle 50ml fountain pen|dries fast - not waterproof. glass bottle
papertiger|PT-212|ink|2.40|gel pen 0.5 click|smooth. refill available
papertiger|PT-213|ink|14.90|brush pens calligraphy lettering 6 pcs|flexible tip, water based can be blended
papertiger|PT-214|ink|4.90|highlighter pastel|chisel tip 2-5mm
papertiger|PT-215|ink|11.00|mechanical pencil 0.5 metal drafting pencil|knurled grip. eraser under the cap
papertiger|PT-216|ink|6.20|fineliner 0.4 sketch waterproof|pigment ink, lightfast . for manga and architects
papertiger|PT-217|book|14.00|The quiet Harbour - novel|two sisters inherit a lighthouse nobody wanted. 384 p.
papertiger|PT-218|book|11.90|murder at the allotment (cosy crime)|first case for retired teacher Edith Pike. funny + british
papertiger|PT-219|book|32.00|BREAD sourdough baking book 80 recipes|from starter to pretzel. with step photos, many baking times
papertiger|PT-220|book|24.90|trees of europe field guide|260 species,drawings of leaf bark + bud. fits in jacket
papertiger|PT-221|book|16.00|poems for the train|short poems for short rides, 120 pages selected by us
papertiger|PT-222|book|9.90|childrens book the fox who could not sleep age 3+|thick pages. read aloud in 10 min (promise)
papertiger|PT-223|book|19.90|learn spanish in 30 stories A1 A2|audio free to download. vocabulary on each page
papertiger|PT-224|book|45.00|Atlas of lost islands|big format, 55 maps. printed on uncoated paper
papertiger|PT-225|book|13.50|scifi the last signal from ceres|book 1 of 3. hard science. 512 pages
papertiger|PT-226|book|28.00|Home library how to build bookshelves yourself wood diy|cutting lists + drawings. beginner to expert
papertiger|PT-227|unit|22.90|pencil case roll up canvas leather strap|holds 36 pens. handmade, washable at 30
papertiger|PT-228|unit|7.50|washi tape flowers|10 m each. can be removed without traces
papertiger|PT-229|unit|5.90|bookmark brass magnetic|thin. no marks on paper
papertiger|PT-230|unit|12.00|WAX SEAL SET stamp + 2 sticks|letters A to Z on request. no spoon needed
papertiger|PT-231|unit|4.50|sticky notes transparent|see through, write with ballpoint.50 sheets
papertiger|PT-232|unit|3.90|eraser dust free|for pencil. vegan !
papertiger|PT-233|unit|17.90|desk organiser bamboo 5 compartments|for phone pens + letters. comes assembled
papertiger|PT-234|unit|9.90|greeting cards birthday letterpress|with envelope. blank inside
papertiger|PT-235|unit|34.00|READING LAMP clip usb rechargeable book light|3 colours warm to cold. 40 hours. 60g
papertiger|PT-236|unit|15.50|jigsaw puzzle 1000 old library|68x48 cm. matt no glare, poster inside
papertiger|PT-237|unit|6.50|stamp alphabet wooden 28|for kids and cards. ink pad black included
papertiger|PT-238|unit|10.90|clipboard A4 cork|strong clip,hole for hanging
papertiger|PT-239|unit|26.00|globe lamp small 20cm political|english names. cable 1.5 m
papertiger|PT-240|unit|8.00|gift wrap paper kraft + twine|3 m roll. recyclable of course
green-acre|GA-301|plant|7.90|lavender hardy bee friendly plant english lavender|flowers june - sept. sunny + dry. cut in spring
green-acre|GA-302|plant|14.90|hydrangea white big flowers|half shade, lots of water. hardy to -20
green-acre|GA-303|plant|24.90|climbing rose old scent PINK repeat flowering|up to 3 m. healthy leaves, no spray needed
green-acre|GA-304|plant|5.50|tomato plant cherry early|from our own greenhouse. ripe from july , pinch out side shoots
green-acre|GA-305|plant|4.90|BASIL xl pot organic|grown without heat. do not water from above
green-acre|GA-306|plant|19.90|blueberry bush 2 varieties self fertile|needs acid soil (we have it). big berries
green-acre|GA-307|plant|32.00|apple tree dwarf for balcony columnar|max 2.5m. red apples in sept. grafted
green-acre|GA-308|plant|9.90|hosta giant leaf shade|snails like it too, sorry. 60 cm
green-acre|GA-309|plant|12.50|olive tree indoor outdoor|not below -5 . with stem 40cm
green-acre|GA-310|plant|6.90|strawberry ever bearing 6 plants|harvest jun to oct. runners ok
green-acre|GA-311|plant|3.90|pansies mix winter hardy|blooms in the cold months. colour as available
green-acre|GA-312|plant|15.00|fern tree like indoor humid bathroom plant|low light. mist it daily
green-acre|GA-313|plant|11.90|rosemary hardy upright|for the bbq. well drained soil please
green-acre|GA-314|plant|28.00|japanese maple RED slow growing|sheltered place. height after 10 years 1.5 m
green-acre|GA-315|seed|2.90|carrot seeds early nantes|sow march to july 2cm deep. 75 days
green-acre|GA-316|seed|3.50|wildflower seeds bees butterfly meadow mix 30 species|native. no grass in it. sow apr-may
green-acre|GA-317|seed|2.50|radish seeds french breakfast|ready in 4 weeks! good with kids
green-acre|GA-318|seed|3.20|lettuce mix cut and come again|sow every 2 weeks, half shade in summer
green-acre|GA-319|seed|4.90|LAWN SEED shade + play repair|germinates from 8 degrees. 40g per m2
green-acre|GA-320|seed|2.90|sunflower giant 3m|single stem big head. stake it
green-acre|GA-321|seed|3.90|chilli seeds hot to very hot|scoville 30.000-100.000. start feb on window sill
green-acre|GA-322|seed|2.70|pumpkin hokkaido|no peeling. 1 plant per m2,hungry
green-acre|GA-323|seed|3.30|green manure phacelia|loosens soil, frost kills it, just leave it
green-acre|GA-324|tool|39.00|spade stainless steel ash handle|treaded edge. polished blade. 1.9 kg
green-acre|GA-325|tool|34.50|garden fork 4 prong forged|for heavy clay. 20 year guarantee
green-acre|GA-326|tool|27.90|SECATEURS bypass 22mm|blade can be changed. sap groove. with lock
green-acre|GA-327|tool|18.90|hand trowel copper|no rust. said to keep slugs away
green-acre|GA-328|tool|44.00|hedge shears telescopic light|wavy blade. 690 - 860mm
green-acre|GA-329|tool|22.00|watering can 9l zinc retro|brass rose. also as decoration
green-acre|GA-330|tool|12.90|gloves garden thorn proof|goat skin long cuff. roses no problem
green-acre|GA-331|tool|59.00|lawn rake + leaf rake 2in1|46 cm wide , bamboo shaft
green-acre|GA-332|tool|69.00|compost bin thermo 400 litres|lockable lid. from recycled plastic, snaps together
green-acre|GA-333|unit|89.00|raised bed larch untreated 120x80|no tools needed. with fleece. lasts 10 yrs
green-acre|GA-334|unit|24.90|planter oak barrel half|real wine barrels,used. drill holes yourself
green-acre|GA-335|unit|9.90|tomato fertiliser organic vegan 1 kg|sheep wool free. lasts 3 months
green-acre|GA-336|unit|12.90|PEAT FREE potting soil 40l|with compost + wood fibre. buffered
green-acre|GA-337|unit|7.50|plant labels bamboo with pencil|weather proof, write again next year
green-acre|GA-338|unit|49.00|drip irrigation kit 20 pots|runs without electric pump. timer extra
green-acre|GA-339|unit|16.90|bird feeder station seeds + fat balls|cat safe when hung at 1.5m
green-acre|GA-340|unit|29.90|insect hotel large roof metal|bamboo 4-8mm, no splinters. hang facing south
kiln-and-bean|KB-401|bean|13.90|ethiopia yirgacheffe filter coffee beans light roast fruity|washed.notes of bergamot + peach.  roasted every tuesday
kiln-and-bean|KB-402|bean|11.90|house espresso NO. 1 dark chocolate|70 arabica 30 robusta. thick crema, good with milk
kiln-and-bean|KB-403|bean|14.50|colombia huila decaf (really good)|sugar cane process. caramel , orange. no headache
kiln-and-bean|KB-404|bean|16.90|KENYA AA nyeri|blackcurrant, juicy. for v60 and aeropress
kiln-and-bean|KB-405|bean|12.90|brazil santos natural low acid coffee for fully automatic machine|nutty. drum roasted 18 min
kiln-and-bean|KB-406|bean|24.00|panama geisha limited|only 60 bags. jasmine, very light. please let rest 3 weeks
kiln-and-bean|KB-407|bean|12.50|cold brew blend coarse|steep 14 h in fridge. sweet cocoa
kiln-and-bean|KB-408|bean|9.90|guatemala antigua organic|smoky + apple, fair trade paid 5.20 usd/lb
kiln-and-bean|KB-409|bean|19.90|tasting box 4 x coffee gift|4 origins with cards. ships on wednesday
kiln-and-bean|KB-410|bean|10.90|malabar monsooned india espresso|low acid, earthy. lots of body
kiln-and-bean|KB-411|ware|18.00|mug hand thrown stoneware cup 300ml|made 2 doors down by Ida. dishwasher ok , each is different
kiln-and-bean|KB-412|ware|24.00|espresso cups set of 2 double wall|glass. 80ml - hot coffee cool fingers
kiln-and-bean|KB-413|ware|32.00|pour over dripper v60 size 02 ceramic|with 40 papers + spoon
kiln-and-bean|KB-414|ware|79.00|HAND GRINDER steel burr 30 clicks|for filter + french press. 18g fits. travel
kiln-and-bean|KB-415|ware|45.00|gooseneck kettle stove top 1 l|slow pour. thermometer in lid
kiln-and-bean|KB-416|ware|36.00|french press 1l cork lid|borosilicate. spare glass available
kiln-and-bean|KB-417|ware|27.50|moka pot 3 cups induction|stainless steel. no alu. gasket incl
kiln-and-bean|KB-418|ware|21.00|travel cup leak proof 350 ml to go|ceramic inside, no metal taste
kiln-and-bean|KB-419|ware|59.00|coffee scale with timer 0.1g usb|2kg max. auto off. splash proof
kiln-and-bean|KB-420|ware|12.00|milk jug barista 350ml latte art|sharp spout steel. learn hearts first
kiln-and-bean|KB-421|bean|12.90|rwanda bourbon washed|red apple, honey. women coop 'kopakama'
kiln-and-bean|KB-422|bean|15.90|costa rica honey process yellow|mandarin. medium roast omni
kiln-and-bean|KB-423|bean|11.50|breakfast blend mild|for mornings & grandmas filter machine
kiln-and-bean|KB-424|bean|10.50|sumatra mandheling bold dark|cedar,spice. french press tip!
kiln-and-bean|KB-425|bean|17.50|yemen haraz mocca|dried fruits, wine. tiny harvest
kiln-and-bean|KB-426|bean|13.50|peru cajamarca organic fair|milk chocolate, plum. single farm
kiln-and-bean|KB-427|bean|39.00|coffee subscription 3 month|new origin each month. cancel any time
kiln-and-bean|KB-428|bean|8.90|chai black tea loose|cardamom ginger. boil in milk 5 min
kiln-and-bean|KB-429|bean|7.90|cascara coffee cherry tea|fruity, has caffein. hot or cold
kiln-and-bean|KB-430|bean|9.50|hot chocolate flakes 65%|only cocoa + cane sugar
kiln-and-bean|KB-431|ware|6.50|paper filters 02 unbleached 100|no taste. rinse anyway
kiln-and-bean|KB-432|ware|34.00|aeropress clear with 350 filters|bpa free. brew in 1 min
kiln-and-bean|KB-433|ware|14.00|tamper 58 mm wood handle|flat base, 400 g. oak
kiln-and-bean|KB-434|ware|19.00|knock box small for home|rubber bar quiet. dishwasher
kiln-and-bean|KB-435|ware|49.00|vacuum canister 1.2 l keep coffee fresh|twist to pump. holds 500g
kiln-and-bean|KB-436|ware|9.90|cleaning tablets espresso machine 60 pcs|1 a week. rinse 2 times
kiln-and-bean|KB-437|ware|16.00|cupping bowls 4 pcs|220 ml sca. stackable
kiln-and-bean|KB-438|ware|89.00|CHEMEX style carafe 6 cup wooden collar|glass hand blown. leather tie
kiln-and-bean|KB-439|ware|11.00|coffee tote bag jute 'more espresso'|heavy 320g. long handles
kiln-and-bean|KB-440|ware|25.00|barista apron canvas cross back|2 pockets,towel loop. wash 40
\.

-- Every model in its first variant, then every model in its second, … as many as the shop asked for.
CREATE TABLE shop.products AS
SELECT store, sku || '-' || n AS sku, title || ' ' || label AS title, description, price, nth
  FROM (SELECT m.*, o.n, o.label, s.backlog, row_number() OVER (PARTITION BY m.store ORDER BY o.n, m.sku) AS nth
          FROM shop.models m JOIN shop.options o USING (kind) JOIN shop.stores s USING (store)) every_one
 WHERE nth <= backlog;
ALTER TABLE shop.products ADD PRIMARY KEY (store, sku);
ANALYZE shop.products;
