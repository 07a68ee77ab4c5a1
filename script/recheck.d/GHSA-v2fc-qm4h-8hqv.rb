require 'nokogiri'
sheet = Nokogiri::XSLT(<<~XSLT)
  <xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
    <xsl:template match="/"><a/></xsl:template>
  </xsl:stylesheet>
XSLT
document = Nokogiri::XML('<a/>')
parameters = Array.new(40, "'x'") + ["a\0b"]
measure('Stylesheet#transform with 41 parameters, the last with a NUL byte') do
  sheet.transform(document, parameters)
rescue ArgumentError
  nil
end
