# frozen_string_literal: true

class ReportsController < ActionController::Base
  def index
    render plain: ReportService.new.call
  end

  def clean
    render plain: Array.new(20) { |n| "report #{n} " * 10 }.join("\n")
  end
end
