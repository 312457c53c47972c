// SPDX-License-Identifier: BSD-2-Clause
// A 2T2R memory macro as it behaves at its pins: a model for simulation, not for synthesis.
//
// Each cell has two devices, BL and BLb; 1 is the low-resistance state (LRS). The outputs of a
// sense amplifier are precharged, then the branch of the LRS device discharges one of them: QN when
// the product is +1, Q when it is -1. Two HRS devices discharge neither when TERNARY, otherwise,
// like two LRS devices, they give a bit that is fixed for that cell.
//
// A weak RESET changes nothing: it moves a resistance within its state.
//
// Whatever must not be done to the pins is reported by $error, counted in `violations`, and makes
// the outputs undefined.
@HEADER@
  // --- state: every device, LRS or not, formed or not
  reg [COLUMNS-1:0] bl_lrs [0:ROWS-1];
  reg [COLUMNS-1:0] blb_lrs [0:ROWS-1];
  reg [COLUMNS-1:0] bl_formed [0:ROWS-1];
  reg [COLUMNS-1:0] blb_formed [0:ROWS-1];
  reg [2*COLUMNS-1:0] contents [0:ROWS-1];  // BLb devices above BL devices
  integer violations;
  integer r;

  initial begin
    if (CONTENTS != "") $readmemb(CONTENTS, contents);
    for (r = 0; r < ROWS; r = r + 1) begin
      {blb_lrs[r], bl_lrs[r]} = CONTENTS != "" ? contents[r] : {2 * COLUMNS{1'b0}};
      bl_formed[r] = {COLUMNS{FORMED[0]}};
      blb_formed[r] = {COLUMNS{FORMED[0]}};
    end
    violations = 0;
  end

  // --- taus88, the generator of all random bits (twincell.model.generators)
  function [95:0] stepped(input [95:0] s);
    reg [31:0] a, b, c;
    begin
      {c, b, a} = s;
      a = ((a & 32'hfffffffe) << 12) ^ (((a << 13) ^ a) >> 19);
      b = ((b & 32'hfffffff8) << 4) ^ (((b << 2) ^ b) >> 25);
      c = ((c & 32'hfffffff0) << 17) ^ (((c << 3) ^ c) >> 11);
      stepped = {c, b, a};
    end
  endfunction

  function [31:0] word(input [95:0] s);
    word = s[31:0] ^ s[63:32] ^ s[95:64];
  endfunction

  // --- transient read errors: positions in the row of all bits that an image's reads latch
  // ERRORS holds the registers of image 0, for each register the 32 columns of the jump to the next
  // image, and for each digit of a gap an alias table of 64 entries.
  localparam BITS = TERNARY ? 2 * COLUMNS : COLUMNS;
  reg [31:0] errors [0:98 + 64*DIGITS];
  reg [95:0] first_word;  // registers at the start of this image
  reg [95:0] state;
  reg [63:0] position;    // of the next error
  reg [63:0] past;        // bits of the reads of this image so far
  integer read, skipped, first_image;
  reg [BITS-1:0] flips;

  initial begin  // +first_image=N on the command line: the first image that comes is image N
    read = 0;
    past = 0;
    flips = 0;
    if (ERRORS != "") begin
      $readmemh(ERRORS, errors);
      first_word = {errors[2], errors[1], errors[0]};
      if ($value$plusargs("first_image=%d", first_image))
        for (skipped = 0; skipped < first_image; skipped = skipped + 1) next_image;
    end
  end

  task add_gap;
    integer digit;
    reg [31:0] drawn, entry;
    begin
      for (digit = 0; digit < DIGITS; digit = digit + 1) begin
        state = stepped(state);
        drawn = word(state);
        entry = errors[99 + 64*digit + drawn[31:26]];
        position = position
            + ({58'd0, drawn[25:0] >= entry[31:6] ? entry[5:0] : drawn[31:26]} << (6*digit));
      end
    end
  endtask

  task next_image;
    integer register, b;
    reg [95:0] jumped;
    begin
      jumped = 0;
      for (register = 0; register < 3; register = register + 1)
        for (b = 0; b < 32; b = b + 1)
          if (first_word[32*register + b])
            jumped[32*register +: 32] = jumped[32*register +: 32] ^ errors[3 + 32*register + b];
      first_word = jumped & {32'hfffffff0, 32'hfffffff8, 32'hfffffffe};
    end
  endtask

  task draw_flips;  // of this read, then on to the next
    begin
      flips = 0;
      if (ERRORS != "") begin
        if (read == 0) begin
          state = first_word;
          position = 0;
          past = 0;
          add_gap;
        end
        while (position < past + BITS) begin
          flips[position - past] = 1'b1;
          position = position + 1;
          add_gap;
        end
        past = past + BITS;
        read = read + 1;
        if (read == READS) begin
          read = 0;
          next_image;
        end
      end
    end
  endtask

  // --- what must not happen
  wire [3:0] modes = {v_form, v_set, v_reset, v_weak};
  wire [2*COLUMNS+ROWS+4:0] choice = {modes, sl, wl, bl, blb};
  reg was_pre, was_sen, was_hv;
  reg [2*COLUMNS+ROWS+4:0] was_choice;
  initial {was_pre, was_sen, was_hv} = 3'b000;
  wire rising = sen & ~was_sen;
  wire several = |(wl & (wl - 1'b1));
  wire one_mode = |modes & ~|(modes & (modes - 1'b1));
  reg broken;

  task rule(input bad, input [48*8-1:0] what);
    if (bad !== 1'b0 && !broken) begin
      broken = 1'b1;
      violations = violations + 1;
      $error("%0s", what);
    end
  endtask

  // --- sensing
  reg [COLUMNS-1:0] q_reg, qn_reg;
  assign q = q_reg;
  assign qn = qn_reg;
  initial {q_reg, qn_reg} = {2 * COLUMNS{1'bx}};

  function undefined_bit(input integer in_row, input integer in_column);
    reg [31:0] hash;
    begin
      hash = in_row * 32'h9e3779b1 + in_column * 32'h85ebca77;
      undefined_bit = hash[15];
    end
  endfunction

  function integer line(input [ROWS-1:0] lines);
    integer k;
    begin
      line = 0;
      for (k = 0; k < ROWS; k = k + 1) if (lines[k]) line = k;
    end
  endfunction

  task sense;
    integer row, k;
    reg low_bl, low_blb, weight, agree, disagree;
    reg [COLUMNS-1:0] agreed, disagreed;
    begin
      row = line(wl);
      if (verify) flips = 0;
      else draw_flips;
      for (k = 0; k < COLUMNS; k = k + 1) begin
        low_bl = bl_lrs[row][k];
        low_blb = blb_lrs[row][k];
        weight = low_bl == low_blb ? undefined_bit(row, k) : low_bl;
        agree = x[k] ? weight : ~weight;
        disagree = ~agree;
        if (TERNARY && !low_bl && !low_blb) {agree, disagree} = 2'b00;
        if (TERNARY) {disagree, agree} = {disagree ^ flips[BITS - COLUMNS + k], agree ^ flips[k]};
        else {disagree, agree} = {~agree ^ flips[k], agree ^ flips[k]};
        if (!x[k] && !xn[k]) {agree, disagree} = 2'b00;  // neither path is closed
        disagreed[k] = disagree;
        agreed[k] = agree;
      end
      {q_reg, qn_reg} <= ~{disagreed, agreed};
    end
  endtask

  // --- programming
  integer width;  // cycles of this pulse so far
  reg [95:0] failing;
  reg [31:0] failures [0:3];  // three registers, and the bound below which a word is a failure
  initial begin
    width = 0;
    if (FAILURES != "") begin
      $readmemh(FAILURES, failures);
      failing = {failures[2], failures[1], failures[0]};
    end
  end
  reg was_pulse, spoiled;  // a pulse that breaks a rule changes nothing
  initial {was_pulse, spoiled} = 2'b00;

  function fails(input [95:0] s);
    fails = FAILURES != "" && word(s) < failures[3];
  endfunction

  task program_devices;
    integer row, k, least;
    reg forming, setting, resetting;
    reg [COLUMNS-1:0] on_bl, on_blb;
    begin
      {forming, setting, resetting} = was_choice[2*COLUMNS+ROWS+4 -: 3];
      row = line(was_choice[2*COLUMNS +: ROWS]);
      {on_bl, on_blb} = was_choice[0 +: 2*COLUMNS];
      least = forming ? LEAST_FORM : setting ? LEAST_SET : LEAST_RESET;
      if (width >= least && (forming || setting || resetting))
        for (k = 0; k < COLUMNS; k = k + 1)
          if (forming) begin
            if (on_bl[k]) {bl_formed[row][k], bl_lrs[row][k]} = 2'b11;
            if (on_blb[k]) {blb_formed[row][k], blb_lrs[row][k]} = 2'b11;
          end else begin
            if (on_bl[k]) begin
              failing = stepped(failing);
              if (bl_formed[row][k]) bl_lrs[row][k] = setting ^ fails(failing);
            end
            if (on_blb[k]) begin
              failing = stepped(failing);
              if (blb_formed[row][k]) blb_lrs[row][k] = setting ^ fails(failing);
            end
          end
    end
  endtask

  always @(posedge clk) begin
    broken = 1'b0;
    rule(several, "two word lines at once");
    rule(hv & (pre | sen), "high voltage during a read");
    rule(pre & sen, "precharge while sensing");
    rule(rising & ~was_pre, "sensing without precharge");
    rule(rising & ~|wl, "sensing without a word line");
    rule(|(x & xn), "straight and crossed at once");
    rule(pulse & ~hv, "a pulse without high voltage");
    rule(hv & ~one_mode, "not one programming voltage");
    rule(hv & (sl != (v_reset | v_weak)), "the source line at the wrong end");
    rule(hv & was_hv & (choice != was_choice), "a choice changed under high voltage");
    rule(pulse & ~|wl, "a pulse without a word line");

    if (pulse) begin
      width = width + 1;
      spoiled = spoiled | broken;
    end else begin
      if (was_pulse && !spoiled) program_devices;
      width = 0;
      spoiled = 1'b0;
    end

    if (broken) {q_reg, qn_reg} <= {2 * COLUMNS{1'bx}};
    else if (pre) {q_reg, qn_reg} <= {2 * COLUMNS{1'b1}};
    else if (rising) sense;
    else if (!sen) {q_reg, qn_reg} <= {2 * COLUMNS{1'bx}};

    was_pre = pre;
    was_sen = sen;
    was_hv = hv;
    was_pulse = pulse;
    was_choice = choice;
  end
endmodule
